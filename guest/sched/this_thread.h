#pragma once

#include "guest/sched/scheduler.h"

namespace exo::guest {

/// Keeps the running thread from being switched away from while it lives; interrupts stay on. It must not
/// wait for anything meanwhile.
class PreemptionGuard {
  public:
    PreemptionGuard() : thread_(Thread::current()) {
        if (thread_ != nullptr) ++thread_->preemption_off_;
        __atomic_signal_fence(__ATOMIC_SEQ_CST);  // against handlers on this CPU, the compiler is all
    }
    ~PreemptionGuard() {
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        if (thread_ != nullptr && --thread_->preemption_off_ == 0 && arch::interrupts_enabled())
            Scheduler::preemption_point();
    }
    PreemptionGuard(const PreemptionGuard&) = delete;
    PreemptionGuard& operator=(const PreemptionGuard&) = delete;

  private:
    Thread* thread_;
};

/// What the running thread does with itself.
namespace this_thread {

/// All threads of this CPU that are ready go first.
inline void yield() {
    Scheduler::yield();
}

/// Until the clock (as TimeSource counts) has reached the time. Without a scheduler the CPU sleeps.
void sleep_until(std::uint64_t time_ns);
inline void sleep_for(std::uint64_t span_ns) {
    sleep_until(arch::now_ns() + span_ns);
}

}  // namespace this_thread
}  // namespace exo::guest
