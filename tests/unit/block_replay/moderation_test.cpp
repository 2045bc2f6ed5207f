#include "tests/sim/block/moderation.h"

#include <gtest/gtest.h>

namespace exo::sim {
namespace {

/// So many interrupts, `gap_ns` apart, each of that many completions.
void interrupts(Moderation& moderation, std::uint64_t& now, unsigned count, std::uint64_t gap_ns,
                std::uint64_t completions) {
    for (unsigned i = 0; i < count; ++i) moderation.interrupted(now += gap_ns, completions);
}

TEST(Moderation, BeginsWithAnInterruptForEach) {
    EXPECT_EQ(Moderation().profile().completions, 1u);
}

TEST(Moderation, ClimbsAsLongAsThereIsMoreToDo) {
    Moderation moderation;
    std::uint64_t now = 0;
    std::uint64_t gap = 100'000;
    interrupts(moderation, now, 65, gap, 1);
    for (int step = 0; step < 8; ++step) interrupts(moderation, now, 64, gap = gap * 8 / 10, 1);
    EXPECT_EQ(moderation.profile().completions, 32u);
}

TEST(Moderation, OneStepForOneMeasurementOfSixtyFourInterrupts) {
    Moderation moderation;
    std::uint64_t now = 0;
    interrupts(moderation, now, 65, 10'000, 1);
    interrupts(moderation, now, 63, 1'000, 1);
    EXPECT_EQ(moderation.changes(), 0u);
    interrupts(moderation, now, 1, 1'000, 1);
    EXPECT_EQ(moderation.changes(), 1u);
    EXPECT_EQ(moderation.profile().completions, 4u);
}

TEST(Moderation, TurnsBackWhenItGetsWorse) {
    Moderation moderation;
    std::uint64_t now = 0;
    interrupts(moderation, now, 65, 10'000, 4);
    interrupts(moderation, now, 64, 1'000, 4);
    ASSERT_EQ(moderation.profile().completions, 4u);
    interrupts(moderation, now, 64, 10'000, 4);
    EXPECT_EQ(moderation.profile().completions, 1u);
}

TEST(Moderation, ALoadThatStaysButIsNotGatheredEndsAtOneForEach) {
    Moderation moderation;
    std::uint64_t now = 0;
    interrupts(moderation, now, 65, 10'000, 1);
    for (const std::uint64_t gap : {5'000u, 2'500u, 1'200u}) interrupts(moderation, now, 64, gap, 1);
    ASSERT_EQ(moderation.profile().completions, 8u);
    interrupts(moderation, now, 128, 1'200, 1);
    EXPECT_EQ(moderation.profile().completions, 1u) << "one completion an interrupt is not worth waiting for";
}

}  // namespace
}  // namespace exo::sim
