#include "guest/drivers/adaptive/moving_median.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace exo::guest {
namespace {

std::uint32_t median_of(std::initializer_list<std::uint32_t> samples) {
    MovingMedian median;
    for (const std::uint32_t sample : samples) median.add(sample);
    return median.value();
}

TEST(MovingMedian, OfFewSamples) {
    EXPECT_EQ(median_of({}), 0u);
    EXPECT_EQ(median_of({7}), 7u);
    EXPECT_EQ(median_of({9, 7}), 7u);
    EXPECT_EQ(median_of({9, 7, 8}), 8u);
    EXPECT_EQ(median_of({5, 1, 4, 2, 3}), 3u);
}

TEST(MovingMedian, IsNotMovedByAMinority) {
    EXPECT_EQ(median_of({10, 5'000'000, 10, 11, 9'000'000, 10, 10, 7'000'000, 11}), 11u);
}

TEST(MovingMedian, ForgetsWhatIsOlderThanTheWindow) {
    MovingMedian median;
    for (std::size_t i = 0; i < 100; ++i) median.add(1'000);
    for (std::size_t i = 0; i < MovingMedian::window / 2; ++i) median.add(10);
    EXPECT_EQ(median.value(), 1'000u);
    median.add(10);
    EXPECT_EQ(median.value(), 10u);
}

}  // namespace
}  // namespace exo::guest
