#include "guest/sched/condition.h"

namespace exo::guest {

bool Condition::wait(Mutex& mutex, std::uint64_t deadline_ns) {
    bool notified = false;
    {
        const Locked guard(waiters_);
        mutex.unlock();
        notified = waiters_.wait(deadline_ns);
    }
    mutex.lock();
    return notified;
}

void Condition::notify_one() {
    const Locked guard(waiters_);
    waiters_.wake_one();
}

void Condition::notify_all() {
    const Locked guard(waiters_);
    waiters_.wake_all();
}

}  // namespace exo::guest
