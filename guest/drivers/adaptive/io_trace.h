#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "guest/drivers/adaptive/io_mode.h"

namespace exo::guest {

/// What happened to one request, by the time-stamp counter (`TimeSource::timestamp`); 0 for what did not
/// happen or is not known. Those of the device are of the same counter, as the device's host reads it.
struct IoTimes {
    std::uint64_t submit = 0;       ///< the driver began to hand it over
    std::uint64_t handed_over = 0;  ///< the device had been told, by a doorbell if it needed one
    std::uint64_t pickup = 0;       ///< the device took it
    std::uint64_t submitted = 0;    ///< the device handed it to the host's storage
    std::uint64_t completed = 0;    ///< the host's storage was done
    std::uint64_t interrupt = 0;    ///< the interrupt that told of it was handled
    std::uint64_t woken = 0;        ///< its waiter went on
    std::uint64_t sector = 0;
    std::uint32_t bytes = 0;
    std::uint8_t operation = 0;  ///< a BlockOperation
    bool doorbell = false;       ///< the device was rung
    IoMode mode = IoMode::interrupt;
};

/// A change of plan, and what it was made from.
struct IoDecision {
    std::uint64_t at = 0;  ///< time-stamp counter
    IoPlan plan;
    std::uint64_t rate = 0;          ///< operations a second
    std::uint32_t depth = 0;         ///< requests
    std::uint32_t service_ns = 0;    ///< D, the median
    std::uint32_t interrupt_ns = 0;  ///< W, from the device's end to the waiter
    std::uint32_t runnable = 0;      ///< other threads
};

/// The latest of a kind, in memory of its own.
template <typename Record, std::size_t capacity>
class LatestRecords {
  public:
    /// The place of the eldest, emptied.
    Record& next() {
        Record& record = records_[count_ % capacity];
        record = {};
        ++count_;
        return record;
    }
    std::size_t size() const { return std::min<std::uint64_t>(count_, capacity); }
    /// The eldest is 0.
    const Record& operator[](std::size_t index) const {
        return records_[(count_ - size() + index) % capacity];
    }

  private:
    std::array<Record, capacity> records_{};
    std::uint64_t count_ = 0;
};

using IoTrace = LatestRecords<IoTimes, 128>;
using IoDecisions = LatestRecords<IoDecision, 32>;

}  // namespace exo::guest
