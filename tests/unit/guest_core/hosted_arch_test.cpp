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

}  // namespace
}  // namespace exo::guest::arch
