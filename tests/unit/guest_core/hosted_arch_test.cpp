#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "guest/arch/arch.h"
#include "guest/arch/hosted/hosted.h"

namespace exo::guest::arch {
namespace {

TEST(HostedArch, GuardsNestAndPutTheStateBack) {
    EXPECT_TRUE(interrupts_enabled());
    {
        InterruptGuard outer;
        EXPECT_FALSE(interrupts_enabled());
        {
            InterruptGuard inner;
        }
        EXPECT_FALSE(interrupts_enabled());
    }
    EXPECT_TRUE(interrupts_enabled());
}

TEST(HostedArch, DeliversOnlyWhileInterruptsAreOnOrTheProcessorSleeps) {
    struct State {
        int interrupts = 0;  // guarded by the interrupt flag itself; TSan would object otherwise
    } state;
    std::atomic<bool> started = false;
    InterruptGuard guard;
    std::thread device([&] {
        for (int i = 0; i < 100; ++i) {
            started = true;
            hosted::deliver_interrupt([](void* context) { ++static_cast<State*>(context)->interrupts; },
                                      &state);
        }
    });
    while (!started) pause();
    EXPECT_EQ(state.interrupts, 0);
    while (state.interrupts < 100) wait_for_interrupt(no_deadline);
    device.join();
}

TEST(HostedArch, WakesAtTheDeadline) {
    const hosted::HostedTime time;
    const std::uint64_t deadline = time.now_ns() + 2 * ns_per_ms;
    InterruptGuard guard;
    while (time.now_ns() < deadline) wait_for_interrupt(deadline);
    EXPECT_FALSE(interrupts_enabled());
}

TEST(HostedMachine, EveryCpuEntersWithInterruptsOff) {
    static std::atomic<unsigned> entered;
    entered = 0;
    hosted::run_machine(4, [] {
        EXPECT_EQ(cpu_count(), 1u);
        start_other_cpus([](unsigned cpu) {
            EXPECT_EQ(current_cpu(), cpu);
            EXPECT_EQ(cpu_local().number, cpu);
            EXPECT_EQ(&cpu_local(), &cpu_local(cpu));
            EXPECT_FALSE(interrupts_enabled());
            entered |= 1u << cpu;
        });
        EXPECT_EQ(cpu_count(), 4u);
        EXPECT_EQ(current_cpu(), 0u);
    });
    EXPECT_EQ(entered, 0b1110u);
    EXPECT_EQ(cpu_count(), 1u);
}

/// However early it comes: an interrupt before the sleep ends the sleep.
TEST(HostedMachine, AnInterruptEndsASleep) {
    static std::atomic<unsigned> slept;
    slept = 0;
    hosted::run_machine(2, [] {
        start_other_cpus([](unsigned) {
            for (int i = 0; i < 1'000; ++i) {
                wait_for_interrupt(no_deadline);
                ++slept;
            }
        });
        for (unsigned i = 0; i < 1'000; ++i) {
            interrupt_cpu(1);
            while (slept <= i) pause();
        }
    });
    EXPECT_EQ(slept, 1'000u);
}

TEST(HostedMachine, TheHookRunsAtInterruptsAndTimersWithInterruptsOff) {
    static std::atomic<unsigned> calls;
    calls = 0;
    hosted::run_machine(1, [] {
        set_interrupt_exit_hook([] {
            EXPECT_FALSE(interrupts_enabled());
            ++calls;
        });
        interrupt_cpu(0);
        {
            const InterruptGuard guard;
            pause();
            EXPECT_EQ(calls, 0u);
        }
        EXPECT_EQ(calls, 1u);
        {
            const InterruptGuard guard;
            set_timer(now_ns() + 2 * ns_per_ms);
            while (calls == 1) wait_for_interrupt(no_deadline);
        }
        interrupt_cpu(0);
        while (calls == 2) pause();
    });
    EXPECT_EQ(calls, 3u);
}

}  // namespace
}  // namespace exo::guest::arch
