#include "guest/drivers/adaptive/rate_window.h"

#include <gtest/gtest.h>

namespace exo::guest {
namespace {

TEST(RateWindow, TellsNothingBeforeTimeHasPassed) {
    RateWindow window;
    window.add(7 * ns_per_s, 100);
    EXPECT_EQ(window.per_second(7 * ns_per_s), 0u);
}

TEST(RateWindow, MeasuresASteadyRateFromTheBeginning) {
    RateWindow window;
    for (std::uint64_t ms = 0; ms <= 3000; ++ms) {
        window.add(ms * ns_per_ms, 20);
        if (ms >= 10)
            ASSERT_NEAR(static_cast<double>(window.per_second(ms * ns_per_ms)), 20'000, 2'100) << ms;
    }
}

TEST(RateWindow, ForgetsWhatIsOlderThanASecond) {
    RateWindow window;
    window.add(0, 1'000'000);
    window.add(500 * ns_per_ms, 10);
    EXPECT_GT(window.per_second(900 * ns_per_ms), 900'000u);
    EXPECT_LE(window.per_second(1'100 * ns_per_ms), 11u);
    EXPECT_EQ(window.per_second(10 * ns_per_s), 0u);
}

TEST(RateWindow, AClockThatGoesBackStandsStill) {
    RateWindow window;
    window.add(5 * ns_per_s, 10);
    window.add(4 * ns_per_s, 10);
    EXPECT_EQ(window.per_second(5 * ns_per_s + 100 * ns_per_ms), 200u);
}

}  // namespace
}  // namespace exo::guest
