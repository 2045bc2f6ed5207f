#include "guest/sched/policy/prediction.h"

#include <gtest/gtest.h>

#include <limits>

#include "guest/sched/policy/thread_class.h"

namespace exo::guest {
namespace {

TEST(Prediction, MovesAQuarterOfTheWayToTheLastBurst) {
    Prediction prediction{milliseconds(8)};
    prediction.observe(milliseconds(16));
    EXPECT_EQ(prediction.burst(), milliseconds(10));
    prediction.observe(milliseconds(2));
    EXPECT_EQ(prediction.burst(), milliseconds(8));
}

TEST(Prediction, ReachesItsTargetToTheNanosecondFromBothSides) {
    for (const Nanoseconds start : {milliseconds(5), Nanoseconds{0}, Nanoseconds{998}, Nanoseconds{1'003}}) {
        Prediction prediction{start};
        for (int i = 0; i < 100; ++i) prediction.observe(1'001);
        EXPECT_EQ(prediction.burst(), 1'001U) << "from " << start;
    }
}

TEST(Prediction, CannotOverflow) {
    Prediction prediction{std::numeric_limits<Nanoseconds>::max()};
    EXPECT_EQ(prediction.burst(), Prediction::longest_burst);
    for (int i = 0; i < 100; ++i) prediction.observe(std::numeric_limits<Nanoseconds>::max());
    EXPECT_EQ(prediction.burst(), Prediction::longest_burst);
    for (int i = 0; i < 200; ++i) prediction.observe(0);
    EXPECT_EQ(prediction.burst(), 0U);
}

TEST(Prediction, ForgetsAHogInBoundedTime) {
    Prediction prediction{milliseconds(1)};
    for (int i = 0; i < 1'000; ++i) prediction.observe(milliseconds(3'600'000));
    int bursts = 0;
    for (; class_of(prediction.burst()) != ThreadClass::hot; ++bursts) prediction.observe(milliseconds(1));
    EXPECT_LE(bursts, 17);
}

TEST(ThreadClass, FollowsFromTheExpectedBurst) {
    EXPECT_EQ(class_of(0), ThreadClass::hot);
    EXPECT_EQ(class_of(milliseconds(10) - 1), ThreadClass::hot);
    EXPECT_EQ(class_of(milliseconds(10)), ThreadClass::normal);
    EXPECT_EQ(class_of(milliseconds(100) - 1), ThreadClass::normal);
    EXPECT_EQ(class_of(milliseconds(100)), ThreadClass::cold);
}

TEST(PriorityHint, MovesAThreadButNeverHidesAHog) {
    EXPECT_EQ(class_of(weigh(milliseconds(20), PriorityHint::high)), ThreadClass::hot);
    EXPECT_EQ(class_of(weigh(milliseconds(3), PriorityHint::low)), ThreadClass::normal);
    EXPECT_EQ(class_of(weigh(Prediction::longest_burst, PriorityHint::high)), ThreadClass::cold);
}

}  // namespace
}  // namespace exo::guest
