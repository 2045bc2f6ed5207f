#pragma once

#include <chrono>
#include <cstdint>

#include "shared/block/protocol.h"
#include "vmm/storage/disk.h"

namespace exo::vmm {

/// A moving mean of durations in nanoseconds, each sample an eighth; 0 before the first one.
class MovingDuration {
  public:
    void add(std::chrono::nanoseconds sample);
    std::uint32_t ns() const { return static_cast<std::uint32_t>(mean_ / fraction); }

  private:
    static constexpr std::int64_t fraction = 16;  // of a nanosecond, so that small differences do not stall
    std::int64_t mean_ = 0;
};

/// Saturates instead of wrapping; a clock that went back counts as no time.
std::uint32_t clamp_ns(std::chrono::nanoseconds duration);

/// How long the disk takes, as the device tells the guest: by operation and size.
class ServiceTimes {
  public:
    void add(DiskOperation operation, std::uint32_t bytes, std::chrono::nanoseconds duration);
    void write_to(block::DeviceControl& control) const;

  private:
    MovingDuration read_[block::size_classes];
    MovingDuration write_[block::size_classes];
    MovingDuration flush_;
};

}  // namespace exo::vmm
