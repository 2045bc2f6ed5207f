#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "guest/sched/policy/scheduled_thread.h"

namespace exo::guest {

/// One thing a policy decided, and what it knew then.
struct Decision {
    enum class Kind : std::uint8_t { picked, picked_for_age, stolen, preempted };

    Nanoseconds time = 0;
    Nanoseconds waited = 0;      ///< in the queue
    Nanoseconds prediction = 0;  ///< of the burst, as it was then
    std::uint32_t thread = 0;
    std::uint16_t ready = 0;  ///< threads that waited on this CPU
    ThreadClass thread_class = ThreadClass::hot;
    Kind kind = Kind::picked;
};

/// The last decisions of one CPU.
class DecisionTrace {
  public:
    static constexpr std::size_t capacity = 64;

    void record(const Decision& decision) { decisions_[count_++ % capacity] = decision; }
    std::size_t size() const { return static_cast<std::size_t>(std::min<std::uint64_t>(count_, capacity)); }
    /// 0 is the last one; below size().
    const Decision& back(std::size_t steps) const { return decisions_[(count_ - 1 - steps) % capacity]; }

  private:
    std::uint64_t count_ = 0;
    std::array<Decision, capacity> decisions_{};
};

}  // namespace exo::guest
