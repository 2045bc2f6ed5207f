#include "guest/sched/this_thread.h"

namespace exo::guest::this_thread {

void sleep_until(std::uint64_t time_ns) {
    {
        const arch::InterruptGuard guard;
        while (arch::now_ns() < time_ns) Scheduler::park(time_ns);
    }
    if (arch::interrupts_enabled()) Scheduler::preemption_point();
}

}  // namespace exo::guest::this_thread
