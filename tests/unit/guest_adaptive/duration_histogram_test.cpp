#include "guest/drivers/adaptive/duration_histogram.h"

#include <gtest/gtest.h>

namespace exo::guest {
namespace {

TEST(DurationHistogram, BucketsJoinWithoutGapAndHoldTheirDurations) {
    for (std::size_t bucket = 0; bucket + 1 < DurationHistogram::bucket_count; ++bucket) {
        const std::uint64_t first = DurationHistogram::lower(bucket);
        const std::uint64_t last = DurationHistogram::lower(bucket + 1) - 1;
        ASSERT_LT(first, last);
        EXPECT_EQ(DurationHistogram::bucket_of(first), bucket);
        EXPECT_EQ(DurationHistogram::bucket_of(last), bucket);
        if (bucket > 0) EXPECT_LE(last + 1 - first, (first + 3) / 4 + 1) << "bucket " << bucket;
    }
}

TEST(DurationHistogram, TakesTheExtremes) {
    EXPECT_EQ(DurationHistogram::bucket_of(0), 0u);
    EXPECT_EQ(DurationHistogram::bucket_of(~std::uint64_t{0}), DurationHistogram::bucket_count - 1);
    DurationHistogram histogram;
    EXPECT_EQ(histogram.quantile(500), 0u);
    histogram.add(~std::uint64_t{0});
    EXPECT_EQ(histogram.quantile(500), std::uint64_t{1} << 32);
}

TEST(DurationHistogram, QuantilesAreNearTheDurations) {
    DurationHistogram histogram;
    for (std::uint64_t us = 1; us <= 100; ++us) histogram.add(us * 1000);
    EXPECT_NEAR(static_cast<double>(histogram.quantile(500)), 50'000, 50'000 / 8);
    EXPECT_NEAR(static_cast<double>(histogram.quantile(990)), 99'000, 99'000 / 8);
    EXPECT_NEAR(static_cast<double>(histogram.quantile(1)), 1'000, 1'000 / 8);
}

TEST(DurationHistogram, AgeHalvesAndForgets) {
    DurationHistogram histogram;
    for (int i = 0; i < 8; ++i) histogram.add(1000);
    histogram.add(5000);
    histogram.age();
    EXPECT_EQ(histogram.total(), 4u) << "a single one is forgotten";
    EXPECT_EQ(histogram.count(DurationHistogram::bucket_of(1000)), 4u);
}

}  // namespace
}  // namespace exo::guest
