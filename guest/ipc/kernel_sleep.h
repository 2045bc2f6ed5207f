#pragma once

#include <cstdint>

#include "guest/arch/spin_lock.h"
#include "guest/sched/scheduler.h"
#include "shared/fusion/native_atomics.h"

namespace exo::guest {

/// What channels need of the kernel. The explorer puts its own in its place.
struct KernelSleep {
    using Atomics = fusion::NativeAtomics;
    using Lock = SpinLock;
    using ThreadReference = Thread*;

    /// nullptr where no scheduler runs: then the CPU itself sleeps, and interrupts wake it.
    static Thread* running() { return Thread::current(); }

    template <class Woken>
    static void sleep(std::uint64_t deadline_ns, Woken woken) {
        {
            const arch::InterruptGuard guard;
            while (!woken() && (deadline_ns == arch::no_deadline || arch::now_ns() < deadline_ns))
                Scheduler::park(deadline_ns);
        }
        after_wake();
    }
    static void wake(Thread* thread) {
        if (thread != nullptr) thread->scheduler().unpark(*thread);
    }
    /// Here a thread that was woken may take over.
    static void after_wake() {
        if (arch::interrupts_enabled()) Scheduler::preemption_point();
    }

    /// Whether the other side may be at work while this one polls.
    static bool may_poll() {
        const Thread* const self = Thread::current();
        return self != nullptr && self->scheduler().cpu_count() > 1;
    }
    static void relax() { arch::pause(); }
};

}  // namespace exo::guest
