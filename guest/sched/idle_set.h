// Which CPUs have nothing to do, and the hand-shake that keeps every one of them from sleeping while work
// waits. It runs in the exhaustive explorer.
#pragma once

#include <bit>
#include <cstdint>

#include "guest/sched/policy/cpu_choice.h"

namespace exo::guest {

/// A bit for each CPU.
///
///     CPU that goes idle (sleep_unless)           who makes a thread ready
///     sets its bit                                puts it into a queue, whose length becomes visible
///     looks at the lengths of all queues;         claims an idle CPU: true? then interrupts it
///     work anywhere? then clears its bit,
///     and takes it; else sleeps till then
///
/// Both write first and look then, so at least one of them sees the other. A claim takes the bit, so that
/// many wake-ups at once wake many CPUs and none twice.
///
/// `Atomics` is a policy like fusion::NativeAtomics.
template <class Atomics>
class IdleSet {
  public:
    /// The CPU calls `sleep` unless there is something to do, and can be claimed meanwhile. An interrupt that
    /// comes after the claim, however early, ends its sleep.
    template <class AnyWork, class Sleep>
    void sleep_unless(unsigned cpu, AnyWork any_work, Sleep sleep) {
        change(bit(cpu), bit(cpu));
        if (!any_work()) sleep();
        change(bit(cpu), 0);
    }

    /// Claims any idle CPU and calls `wake` with its number. False when there is none.
    template <class Wake>
    bool wake_any(Wake wake) {
        for (CpuMask idle = mask(); idle != 0; idle &= idle - 1) {
            const auto cpu = static_cast<unsigned>(std::countr_zero(idle));
            if (!claim(cpu)) continue;
            wake(cpu);
            return true;
        }
        return false;
    }

    /// Takes the bit of a CPU. False when it was not idle, or is somebody else's already.
    bool claim(unsigned cpu) {
        CpuMask before = Atomics::load_seq_cst(idle_);
        while ((before & bit(cpu)) != 0)
            if (Atomics::compare_exchange(idle_, before, before & ~bit(cpu))) return true;
        return false;
    }

    CpuMask mask() const { return Atomics::load_seq_cst(idle_); }

  private:
    static constexpr CpuMask bit(unsigned cpu) { return CpuMask{1} << cpu; }

    void change(CpuMask which, CpuMask to) {
        CpuMask before = Atomics::load_relaxed(idle_);
        while (!Atomics::compare_exchange(idle_, before, (before & ~which) | to)) {
        }
    }

    alignas(64) CpuMask idle_ = 0;
};

}  // namespace exo::guest
