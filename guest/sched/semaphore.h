#pragma once

#include <cstdint>

#include "guest/sched/wait_queue.h"

namespace exo::guest {

/// A number of units to take and give back. Strictly first come first served: a unit goes to who waits
/// longest, and nobody overtakes. Interrupt handlers may release.
class Semaphore {
  public:
    explicit constexpr Semaphore(std::uint32_t units) : units_(units) {}

    /// False when the clock reached the deadline first.
    bool acquire(std::uint64_t deadline_ns = arch::no_deadline) {
        const Locked guard(waiters_);
        if (units_ == 0) return waiters_.wait(deadline_ns);
        --units_;
        return true;
    }
    bool try_acquire() {
        const Locked guard(waiters_);
        if (units_ == 0) return false;
        --units_;
        return true;
    }
    void release() {
        const Locked guard(waiters_);
        if (!waiters_.wake_one()) ++units_;
    }
    /// A moment old.
    std::uint32_t units() {
        const Locked guard(waiters_);
        return units_;
    }

  private:
    WaitQueue waiters_;
    std::uint32_t units_ EXO_THREAD_SAFETY(guarded_by(waiters_));
};

}  // namespace exo::guest
