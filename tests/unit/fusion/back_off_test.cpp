#include "shared/fusion/back_off.h"

#include <gtest/gtest.h>

namespace exo::fusion {
namespace {

std::uint32_t pauses(BackOff& back_off) {
    std::uint32_t count = 0;
    back_off.wait([&] { ++count; });
    return count;
}

TEST(BackOff, AnAnswerAtATimeIsLookedForAtOnce) {
    BackOff back_off;
    EXPECT_EQ(pauses(back_off), 1U);
    back_off.moved(1);
    EXPECT_EQ(pauses(back_off), 1U);
}

TEST(BackOff, ARunIsFollowedByAWaitOfItsLengthUpToTheMost) {
    BackOff back_off;
    for (int i = 0; i < 3; ++i) back_off.moved(1);
    EXPECT_EQ(pauses(back_off), 3 * BackOff::pauses_per_message);
    back_off.moved(32);
    EXPECT_EQ(pauses(back_off), BackOff::most_pauses);
    for (int i = 0; i < 3; ++i) back_off.moved(~0U);
    EXPECT_EQ(pauses(back_off), BackOff::most_pauses) << "a count that has overflowed";
}

TEST(BackOff, OneRunIsWaitedForOnce) {
    BackOff back_off;
    back_off.moved(10);
    EXPECT_GT(pauses(back_off), 1U);
    EXPECT_EQ(pauses(back_off), 1U);
}

}  // namespace
}  // namespace exo::fusion
