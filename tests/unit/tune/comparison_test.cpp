#include "vmm/tune/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/tune/measured_steps.h"

namespace exo::vmm::tune {
namespace {

using testing::ElementsAre;

const Load slow{.rate = 1'000};
const Load fast{};

/// Adaptive at every price with the same figures.
void add_adaptive(Series& series, const Load& load, double p50_ns, double host_cpu_ns) {
    for (const Way& way : adaptive_ways) {
        const MeasuredStep step = measured(way, load, p50_ns, host_cpu_ns);
        series.add({&step, 1});
    }
}

void add_fixed(Series& series, const Load& load, std::array<std::pair<double, double>, 4> figures) {
    for (std::size_t i = 0; i < fixed_ways.size(); ++i) {
        const MeasuredStep step = measured(fixed_ways[i], load, figures[i].first, figures[i].second);
        series.add({&step, 1});
    }
}

/// Interrupt is late and cheap, polling at once and dear, the others neither.
Series usual_series() {
    Series series({});
    for (const Load& load : {slow, fast})
        add_fixed(series, load, {{{20'000, 1'000}, {10'000, 10'000}, {18'000, 9'000}, {50'000, 5'000}}});
    return series;
}

TEST(Comparison, ACellIsTheMedianOfItsRounds) {
    Series series({});
    for (const double p50 : {7.0, 900.0, 5.0}) {
        const MeasuredStep step = measured(fixed_ways[0], slow, p50, 10 * p50);
        series.add({&step, 1});
    }
    ASSERT_EQ(series.cells().size(), 1u);
    EXPECT_EQ(series.cells()[0].rounds.size(), 3u);
    EXPECT_DOUBLE_EQ(series.cells()[0].median().p50_ns, 7);
    EXPECT_DOUBLE_EQ(series.cells()[0].median().host_cpu_ns, 70);
    EXPECT_EQ(series.find(fixed_ways[1], slow), nullptr);
    EXPECT_EQ(series.find(fixed_ways[0], fast), nullptr);
    EXPECT_THAT(series.loads(), ElementsAre(slow));
}

TEST(Comparison, ThePriceOfCpuTimeDecidesWhoWins) {
    Series series = usual_series();
    add_adaptive(series, slow, 12'000, 2'000);
    EXPECT_EQ(winner_at(series, slow, 0).way.mode, "polling");    // 11.0 against 20.1 µs
    EXPECT_EQ(winner_at(series, slow, 1).way.mode, "polling");    // 20 against 21
    EXPECT_EQ(winner_at(series, slow, 2).way.mode, "interrupt");  // 30 against 110
    EXPECT_DOUBLE_EQ(winner_at(series, slow, 1).adaptive_ratio, 14.0 / 20);
}

TEST(Comparison, TheUsualOneStaysUnlessAnotherIsCheaperByMoreThanRoundsDiffer) {
    const std::vector<std::vector<double>> close = {{104, 100}, {100, 100}};
    EXPECT_EQ(choose(close, 0).index, 0u);
    EXPECT_NEAR(choose(close, 0).worst_ratio, 1.04, 1e-9);
    const std::vector<std::vector<double>> far = {{150, 100}, {100, 100}, {100, 90}};
    EXPECT_EQ(choose(far, 0).index, 2u);
    EXPECT_DOUBLE_EQ(choose(far, 0).mean_ratio, 1);
}

TEST(Comparison, NothingIsDividedByACostOfNothing) {
    const std::vector<std::vector<double>> costs = {{0}, {0}};
    EXPECT_DOUBLE_EQ(choose(costs, 0).mean_ratio, 1);
}

TEST(Comparison, AFixedModeThatIsCheaperOverallIsRecommended) {
    Sweep sweep{.modes = usual_series(), .poll_limits = {}, .queues = {}, .knowledge = {}};
    add_adaptive(sweep.modes, slow, 17'500, 3'000);
    add_adaptive(sweep.modes, fast, 17'500, 3'000);
    const Recommendation cheap_cpu = recommend(sweep, 0);
    EXPECT_EQ(cheap_cpu.way.mode, "polling");
    const Recommendation dear_cpu = recommend(sweep, 2);
    EXPECT_EQ(dear_cpu.way.mode, "interrupt");
    EXPECT_EQ(recommend(sweep, 1).way, adaptive_ways[1]) << "20.5 against 20 of polling";
}

TEST(Comparison, PollAndQueuesAreRecommendedOnlyWhereTheyHelp) {
    Sweep sweep{.modes = usual_series(), .poll_limits = {}, .queues = {}, .knowledge = {}};
    add_adaptive(sweep.modes, slow, 10'000, 1'000);
    add_adaptive(sweep.modes, fast, 10'000, 1'000);
    sweep.poll_limits.emplace_back(Setting{.poll_us = 0});
    add_adaptive(sweep.poll_limits[0], slow, 11'000, 100);
    sweep.poll_limits.emplace_back(Setting{.poll_us = 200});
    add_adaptive(sweep.poll_limits[1], slow, 9'000, 20'000);
    const Load by_all{.depth = 8, .jobs = 4};
    sweep.queues.emplace_back(Setting{.queues = 4, .cpus = 4});
    add_adaptive(sweep.queues[0], by_all, 10'000, 1'000);
    sweep.queues.emplace_back(Setting{.queues = 1, .cpus = 4});
    add_adaptive(sweep.queues[1], by_all, 10'100, 500);
    EXPECT_EQ(recommend(sweep, 0).poll_us, std::nullopt);
    EXPECT_EQ(recommend(sweep, 2).poll_us, 0u);
    EXPECT_EQ(recommend(sweep, 0).queues, std::nullopt);
    EXPECT_EQ(recommend(sweep, 2).queues, 1u);
}

TEST(Comparison, WhatIsUnknownIsNotLearned) {
    const std::vector<Knowledge> all = {{.service_ns = 0, .polling_cpu_ns = 3},
                                        {.service_ns = 40, .polling_cpu_ns = 5},
                                        {.service_ns = 60, .polling_cpu_ns = 4}};
    EXPECT_EQ(median_of(all).service_ns, 40u);
    EXPECT_EQ(median_of(all).polling_cpu_ns, 4u);
    EXPECT_EQ(median_of(all).interrupt_cpu_ns, 0u);
    EXPECT_EQ(median_of({}).service_ns, 0u);
}

}  // namespace
}  // namespace exo::vmm::tune
