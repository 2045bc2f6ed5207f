#include "vmm/devices/poll_budget.h"

#include <gtest/gtest.h>

#include "vmm/devices/pollers.h"

namespace exo::vmm {
namespace {

using namespace std::chrono_literals;

TEST(PollBudget, GrowsToTheCapWhileWorkComesSoon) {
    PollBudget budget(50us);
    EXPECT_EQ(budget.value(), 0us);
    for (const auto expected : {10us, 20us, 40us, 50us, 50us}) {
        budget.work_after(50us);
        EXPECT_EQ(budget.value(), expected);
    }
}

TEST(PollBudget, StaysWhereItFindsWork) {
    PollBudget budget(50us);
    budget.work_after(15us);
    budget.work_after(15us);
    for (int i = 0; i < 100; ++i) budget.work_after(15us);
    EXPECT_EQ(budget.value(), 20us);
}

TEST(PollBudget, VanishesWhenWorkIsRare) {
    PollBudget budget(50us);
    for (int i = 0; i < 5; ++i) budget.work_after(30us);
    for (const auto expected : {20us, 10us, 0us}) {
        EXPECT_GT(budget.value(), expected);
        budget.work_after(51us);
        EXPECT_EQ(budget.value(), expected);
    }
}

TEST(PollBudget, OnePauseCostsOneSleep) {
    PollBudget budget(50us);
    for (int i = 0; i < 5; ++i) budget.work_after(20us);
    ASSERT_EQ(budget.value(), 20us);
    budget.work_after(1s);
    budget.work_after(20us);
    EXPECT_EQ(budget.value(), 20us);
}

TEST(PollBudget, NeverPollsWithoutACap) {
    PollBudget budget(0us);
    for (int i = 0; i < 5; ++i) budget.work_after(1ns);
    EXPECT_EQ(budget.value(), 0us);
}

TEST(PollBudget, NeverGoesBeyondASmallCap) {
    PollBudget budget(3us);
    budget.work_after(1us);
    EXPECT_EQ(budget.value(), 3us);
}

/// Pieces of work, 20 µs apart, until it polls again.
std::uint32_t retreat_of(PollBudget& budget) {
    std::uint32_t pieces = 0;
    while (budget.value() == 0us && pieces < 10'000) {
        budget.work_after(20us);
        ++pieces;
    }
    return pieces - 1;
}

TEST(PollBudget, StaysAwayLongerEachTimeOthersWantTheCpu) {
    PollBudget budget(50us);
    budget.work_after(20us);
    std::uint32_t last = 0;
    for (int i = 0; i < 10; ++i) {
        budget.gave_way();
        EXPECT_EQ(budget.value(), 0us);
        last = retreat_of(budget);
        EXPECT_EQ(last, std::min(PollBudget::shortest_retreat << i, PollBudget::longest_retreat));
    }
    EXPECT_EQ(last, PollBudget::longest_retreat);
    for (int i = 0; i < 5; ++i) budget.work_after(1us);
    budget.gave_way();
    EXPECT_EQ(retreat_of(budget), PollBudget::shortest_retreat) << "it polled in peace";
}

TEST(PollBudget, CapFollowsTheHostsSpeed) {
    EXPECT_EQ(automatic_poll_cap(100ns), 50us);
    EXPECT_EQ(automatic_poll_cap(10us), 500us);
    EXPECT_EQ(automatic_poll_cap(1s), 2ms);
    EXPECT_EQ(preempted_after(100ns), 10us);
    EXPECT_EQ(preempted_after(20us), 200us);
}

TEST(Pollers, AreCrowdedWhenCpusAreFewer) {
    Pollers pollers(3, 2);
    EXPECT_FALSE(pollers.crowded());
    {
        const Pollers::Polling one(pollers);
        EXPECT_FALSE(pollers.crowded());
        const Pollers::Polling other(pollers);
        EXPECT_TRUE(pollers.crowded());
    }
    EXPECT_FALSE(pollers.crowded());
}

TEST(Pollers, DoNotPollOnASingleCpu) {
    EXPECT_FALSE(Pollers(1, 1).may_poll());
    EXPECT_TRUE(Pollers(2, 4).may_poll());
    EXPECT_GE(usable_cpus(), 1u);
}

}  // namespace
}  // namespace exo::vmm
