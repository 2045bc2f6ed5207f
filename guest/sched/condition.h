#pragma once

#include "guest/sched/mutex.h"

namespace exo::guest {

/// Something that threads wait for while they leave a mutex to those who bring it about.
class Condition {
  public:
    /// Lets go of the mutex, sleeps, and takes it again. False when the clock reached the deadline before
    /// anybody notified this thread. There are no wake-ups without a reason, but what was true at the
    /// notification need not be true any more.
    bool wait(Mutex& mutex, std::uint64_t deadline_ns = arch::no_deadline)
        EXO_THREAD_SAFETY(requires_capability(mutex));

    void notify_one();
    void notify_all();

  private:
    WaitQueue waiters_;
};

}  // namespace exo::guest
