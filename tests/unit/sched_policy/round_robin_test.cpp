#include <gtest/gtest.h>

#include "guest/sched/policy/policy.h"

namespace exo::guest {
namespace {

TEST(RoundRobinQueue, FirstInFirstOutTenMillisecondsEach) {
    RoundRobinQueue queue(0);
    ScheduledThread a, b;
    queue.enqueue(a, Arrival::woken, 0);
    ASSERT_EQ(queue.pick_next(0), &a);
    EXPECT_EQ(queue.preempt_at(a), never);
    queue.enqueue(b, Arrival::woken, milliseconds(3));
    EXPECT_FALSE(queue.should_preempt(a, b, milliseconds(3)));
    EXPECT_EQ(queue.preempt_at(a), milliseconds(10));
    EXPECT_FALSE(queue.should_give_way(a, milliseconds(10) - 1));
    EXPECT_TRUE(queue.should_give_way(a, milliseconds(10)));
    queue.account(a, milliseconds(10));
    queue.enqueue(a, Arrival::preempted, milliseconds(10));
    EXPECT_EQ(queue.pick_next(milliseconds(10)), &b);
    EXPECT_EQ(a.cpu_time, milliseconds(10));
}

TEST(RunQueue, UsesThePolicyItWasMadeWith) {
    for (const PolicyKind kind : {PolicyKind::predictive, PolicyKind::round_robin}) {
        RunQueue queue(0, kind);
        ScheduledThread slow, quick;
        slow.prediction = Prediction(milliseconds(8));
        quick.prediction = Prediction(milliseconds(1));
        queue.enqueue(slow, Arrival::woken, 0);
        queue.enqueue(quick, Arrival::woken, 0);
        EXPECT_EQ(queue.pick_next(0), kind == PolicyKind::predictive ? &quick : &slow);
        EXPECT_EQ(queue.ready(), 1U);
    }
}

TEST(RunQueue, WhoWaitsGoesOnWaitingUnderAnotherPolicy) {
    RunQueue queue(0, PolicyKind::round_robin);
    ScheduledThread slow, quick, cold;
    slow.prediction = Prediction(milliseconds(8));
    quick.prediction = Prediction(milliseconds(1));
    cold.thread_class = ThreadClass::cold;
    queue.enqueue(cold, Arrival::woken, 0);
    queue.enqueue(slow, Arrival::woken, 1);
    queue.enqueue(quick, Arrival::woken, 2);
    queue.use(PolicyKind::predictive, milliseconds(1));
    EXPECT_EQ(queue.kind(), PolicyKind::predictive);
    EXPECT_EQ(queue.ready(), 3U);
    EXPECT_EQ(queue.pick_next(milliseconds(1)), &quick);
    queue.enqueue(quick, Arrival::woken, milliseconds(2));
    queue.use(PolicyKind::round_robin, milliseconds(2));
    EXPECT_EQ(queue.ready(), 3U);
    EXPECT_EQ(queue.pick_next(milliseconds(2)), &cold) << "it has waited longest";
    EXPECT_EQ(queue.pick_next(milliseconds(2)), &slow);
    EXPECT_EQ(queue.pick_next(milliseconds(2)), &quick);
    EXPECT_EQ(queue.pick_next(milliseconds(2)), nullptr);
}

TEST(PolicyKind, IsNamedOnTheCommandLine) {
    EXPECT_EQ(policy_named("predictive"), PolicyKind::predictive);
    EXPECT_EQ(policy_named("round-robin"), PolicyKind::round_robin);
    EXPECT_EQ(policy_named("fair"), std::nullopt);
}

}  // namespace
}  // namespace exo::guest
