#pragma once

#include "guest/sched/wait_queue.h"

namespace exo::guest {

/// Something that has happened or not; stays so until it is reset. Interrupt handlers may set it.
class Event {
  public:
    void set() {
        const Locked guard(waiters_);
        is_set_ = true;
        waiters_.wake_all();
    }
    void reset() {
        const Locked guard(waiters_);
        is_set_ = false;
    }
    bool is_set() {
        const Locked guard(waiters_);
        return is_set_;
    }
    /// False when the clock reached the deadline first.
    bool wait(std::uint64_t deadline_ns = arch::no_deadline) {
        const Locked guard(waiters_);
        // Whoever is woken has seen it set, even when it has been reset meanwhile.
        return is_set_ || waiters_.wait(deadline_ns);
    }

  private:
    WaitQueue waiters_;
    bool is_set_ EXO_THREAD_SAFETY(guarded_by(waiters_)) = false;
};

}  // namespace exo::guest
