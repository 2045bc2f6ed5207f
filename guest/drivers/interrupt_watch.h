#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "guest/drivers/interrupt.h"
#include "guest/drivers/time_source.h"

namespace exo::guest {

/// Sleeps for a device's interrupt without believing that it comes: looks at the device every now and then,
/// and gives up on the interrupt when the device had news again and again without one. So a line that is
/// routed wrong costs a driver its sleep, not its disk.
class InterruptWatch {
  public:
    static constexpr std::uint64_t slice_ns = 100 * ns_per_ms;
    static constexpr unsigned max_missed = 3;

    /// `interrupt` may be null: then it is not usable from the start.
    InterruptWatch(Interrupt* interrupt, TimeSource& time) : interrupt_(interrupt), time_(&time) {}
    InterruptWatch(const InterruptWatch& other) { *this = other; }
    InterruptWatch& operator=(const InterruptWatch& other) {
        interrupt_ = other.interrupt_;
        time_ = other.time_;
        missed_ = other.missed();
        return *this;
    }

    // Anybody may ask, while another thread waits.
    bool usable() const { return interrupt_ != nullptr && missed() < max_missed; }
    unsigned missed() const { return missed_.load(std::memory_order_relaxed); }
    /// Interrupts seen so far.
    std::uint64_t count() const { return interrupt_ != nullptr ? interrupt_->count() : 0; }
    /// See Interrupt.
    std::uint64_t last_timestamp() const { return interrupt_ != nullptr ? interrupt_->last_timestamp() : 0; }

    /// `arm` asks the device for an interrupt and says whether there is nothing new yet; then this sleeps,
    /// at most until the deadline. `collect(slept)` takes the interrupt back and gives the number of requests
    /// that ended, which is the result.
    template <typename Arm, typename Collect>
    std::size_t wait(std::uint64_t deadline_ns, Arm arm, Collect collect) {
        const std::uint64_t seen = interrupt_->count();
        const bool slept = arm();
        const std::uint64_t slice_end = time_->now_ns() + slice_ns;
        bool interrupted = true;
        if (slept) interrupted = interrupt_->wait(seen, std::min(deadline_ns, slice_end));
        const std::size_t ended = collect(slept);
        // A short sleep that ended by itself says nothing about the interrupt.
        const bool telling = interrupted || slice_end <= deadline_ns;
        if (slept && ended > 0 && telling)
            missed_.store(interrupted ? 0 : missed() + 1, std::memory_order_relaxed);
        return ended;
    }

  private:
    Interrupt* interrupt_ = nullptr;
    TimeSource* time_ = nullptr;
    std::atomic<unsigned> missed_ = 0;
};

}  // namespace exo::guest
