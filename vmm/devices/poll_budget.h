#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace exo::vmm {

/// How long an I/O thread polls for work after the last it had, before it sleeps. It grows while work comes
/// within the cap, like KVM's halt_poll_ns (Documentation/virt/kvm/halt-polling.rst), and shrinks when a wait
/// was longer, but does not vanish by one: a pause in a steady load costs one sleep, not the three that
/// growing anew takes. When others wanted the CPU, it stays away for longer each time.
class PollBudget {
  public:
    using Time = std::chrono::nanoseconds;
    static constexpr Time first = std::chrono::microseconds(10);
    static constexpr std::uint32_t shortest_retreat = 8;  ///< pieces of work
    static constexpr std::uint32_t longest_retreat = 1024;

    /// A cap of 0: never polls.
    explicit PollBudget(Time cap) : cap_(cap) {}

    Time value() const { return value_; }
    Time cap() const { return cap_; }

    /// Work came after an idle time, during which the thread may have polled, slept, or both.
    void work_after(Time idle) {
        if (idle <= value_) {
            retreat_ = 0;
        } else if (idle > cap_) {
            value_ = value_ < 2 * first ? Time(0) : value_ / 2;
        } else if (to_skip_ > 0) {
            --to_skip_;
        } else {
            value_ = std::min(cap_, std::max(first, 2 * value_));
        }
    }

    /// The CPU was taken away while it polled.
    void gave_way() {
        value_ = Time(0);
        retreat_ = std::clamp(2 * retreat_, shortest_retreat, longest_retreat);
        to_skip_ = retreat_;
    }

  private:
    Time cap_;
    Time value_{0};
    std::uint32_t retreat_ = 0;
    std::uint32_t to_skip_ = 0;
};

/// The cap where nobody has set one, from what one signal and one wait for it cost on this host: as polling
/// is worth about as much as the sleep that it saves, it follows the host's speed, also inside of an
/// emulator.
constexpr PollBudget::Time automatic_poll_cap(PollBudget::Time signal_cost) {
    using std::chrono::microseconds;
    return std::clamp<PollBudget::Time>(50 * signal_cost, microseconds(50), microseconds(2000));
}

/// Between two looks of a thread that polls, this much time may mean that another one had its CPU.
constexpr PollBudget::Time preempted_after(PollBudget::Time signal_cost) {
    return std::max<PollBudget::Time>(10 * signal_cost, std::chrono::microseconds(10));
}

/// What polling came to.
struct PollCounters {
    std::uint64_t found = 0;           ///< polls that ended with work
    std::uint64_t in_vain = 0;         ///< that ended with the budget
    std::uint64_t gave_way = 0;        ///< that ended because others wanted the CPU
    std::chrono::nanoseconds time{0};  ///< spent in all of them
};

}  // namespace exo::vmm
