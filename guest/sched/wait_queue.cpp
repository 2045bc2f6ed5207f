#include "guest/sched/wait_queue.h"

#include "guest/sched/scheduler.h"

namespace exo::guest {

void WaitQueue::lock() EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    const bool enabled = arch::interrupts_enabled();
    arch::disable_interrupts();
    spin_.lock();
    interrupts_were_enabled_ = enabled;
}

void WaitQueue::unlock() EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    const bool enable = interrupts_were_enabled_;
    spin_.unlock();
    if (!enable) return;
    arch::enable_interrupts();
    Scheduler::preemption_point();
}

bool WaitQueue::wait(std::uint64_t deadline_ns) EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    const bool enabled = interrupts_were_enabled_;
    Waiter self{.thread = Thread::current()};
    append(self);
    bool in_time = true;
    while (!self.woken && in_time) {
        spin_.unlock();
        Scheduler::park(deadline_ns);
        spin_.lock();
        in_time = deadline_ns == arch::no_deadline || arch::now_ns() < deadline_ns;
    }
    interrupts_were_enabled_ = enabled;
    if (!self.woken) remove(self);
    return self.woken;
}

bool WaitQueue::wake_one() {
    Waiter* const waiter = first_;
    if (waiter == nullptr) return false;
    remove(*waiter);
    waiter->woken = true;
    // Under the lock, which the thread must take before it leaves: so it still exists.
    if (waiter->thread != nullptr) waiter->thread->scheduler().unpark(*waiter->thread);
    return true;
}

void WaitQueue::wake_all() {
    while (wake_one()) {
    }
}

void WaitQueue::append(Waiter& waiter) {
    waiter.previous = last_;
    (last_ == nullptr ? first_ : last_->next) = &waiter;
    last_ = &waiter;
}

void WaitQueue::remove(Waiter& waiter) {
    (waiter.previous == nullptr ? first_ : waiter.previous->next) = waiter.next;
    (waiter.next == nullptr ? last_ : waiter.next->previous) = waiter.previous;
}

}  // namespace exo::guest
