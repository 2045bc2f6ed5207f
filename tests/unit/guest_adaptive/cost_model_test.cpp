#include "guest/drivers/adaptive/cost_model.h"

#include <gtest/gtest.h>

#include <array>

namespace exo::guest {
namespace {

constexpr CpuPrice one{1000};

/// A machine on which an interrupt costs 10 µs and a look at the device half of one.
Observation machine() {
    return {.rate = 20'000,
            .depth = 1,
            .interrupt_overhead_ns = 10'000,
            .polling_overhead_ns = 500,
            .interrupt_cpu_ns = 10'000,
            .polling_cpu_ns = 500};
}

DurationHistogram always(std::uint64_t ns) {
    DurationHistogram histogram;
    for (int i = 0; i < 100; ++i) histogram.add(ns);
    return histogram;
}

TEST(CostModel, PredictsInterruptAndPollingAsDefined) {
    const std::uint64_t service = DurationHistogram::middle(DurationHistogram::bucket_of(20'000));
    const IoCost slept = predict(machine(), always(20'000), fixed_plan(IoMode::interrupt));
    EXPECT_EQ(slept.latency_ns, service + 10'000);
    EXPECT_EQ(slept.cpu_ns, 10'000u);
    const IoCost polled = predict(machine(), always(20'000), fixed_plan(IoMode::polling));
    EXPECT_EQ(polled.latency_ns, service + 500);
    EXPECT_EQ(polled.cpu_ns, service + 500 + 500);
}

TEST(CostModel, ABudgetThatDoesNotSufficeIsPaidOnTop) {
    const IoCost cost = predict(machine(), always(20'000), {.mode = IoMode::hybrid, .poll_budget_ns = 3'000});
    EXPECT_EQ(cost.cpu_ns, 13'000u);
    EXPECT_EQ(cost.latency_ns, predict(machine(), always(20'000), fixed_plan(IoMode::interrupt)).latency_ns);
}

TEST(CostModel, AFirstSleepSavesSpinning) {
    Observation seen = machine();
    seen.timer_cpu_ns = 8'000;
    const IoPlan plan{.mode = IoMode::hybrid, .poll_budget_ns = no_poll_limit, .first_sleep_ns = 800'000};
    const std::uint64_t service = DurationHistogram::middle(DurationHistogram::bucket_of(1'000'000));
    const IoCost cost = predict(seen, always(1'000'000), plan);
    EXPECT_EQ(cost.latency_ns, service + 500);
    EXPECT_EQ(cost.cpu_ns, 8'000 + 500 + (service + 500 - 810'000));
}

TEST(CostModel, AnInterruptIsSharedByThoseItTellsOf) {
    Observation seen = machine();
    seen.told_together = 5;
    EXPECT_EQ(predict(seen, always(20'000), fixed_plan(IoMode::interrupt)).cpu_ns, 500u + 9'500 / 5);
    EXPECT_EQ(predict(seen, always(20'000), {.mode = IoMode::batch, .batch = 2}).cpu_ns, 500u + 9'500 / 5);
    EXPECT_EQ(predict(seen, always(20'000), {.mode = IoMode::batch, .batch = 10}).cpu_ns, 500u + 9'500 / 10);
}

TEST(CostModel, DepthSharesTheSpinning) {
    Observation seen = machine();
    seen.depth = 8;
    const std::uint64_t service = DurationHistogram::middle(DurationHistogram::bucket_of(20'000));
    EXPECT_EQ(predict(seen, always(20'000), fixed_plan(IoMode::polling)).cpu_ns, 500 + (service + 500) / 8);
}

TEST(CostModel, QuickDevicesArePolledSlowOnesAreSleptFor) {
    EXPECT_EQ(cheapest_plan(machine(), always(2'000), one).mode, IoMode::polling);
    EXPECT_EQ(cheapest_plan(machine(), always(500'000), one).mode, IoMode::interrupt);
}

TEST(CostModel, ThePriceOfTheCpuMovesTheBorder) {
    const DurationHistogram service = always(15'000);
    EXPECT_NE(cheapest_plan(machine(), service, {100}).mode, IoMode::interrupt);
    EXPECT_EQ(cheapest_plan(machine(), service, {10'000}).mode, IoMode::interrupt);
}

TEST(CostModel, OtherRunnableThreadsMakeSpinningDear) {
    Observation seen = machine();
    const DurationHistogram service = always(15'000);
    ASSERT_NE(cheapest_plan(seen, service, one).mode, IoMode::interrupt);
    seen.runnable = 3;
    EXPECT_EQ(cheapest_plan(seen, service, one).mode, IoMode::interrupt);
}

TEST(CostModel, TwoKindsOfRequestsGetABudgetBetweenThem) {
    DurationHistogram service;
    for (int i = 0; i < 90; ++i) service.add(3'000);
    for (int i = 0; i < 10; ++i) service.add(5'000'000);
    const IoPlan plan = cheapest_plan(machine(), service, one);
    EXPECT_EQ(plan.mode, IoMode::hybrid);
    EXPECT_GE(plan.poll_budget_ns, 3'500u);
    EXPECT_LE(plan.poll_budget_ns, 10'000u);
}

TEST(CostModel, ManyRequestsUnderWayAreToldOfTogether) {
    Observation seen = machine();
    seen.depth = 32;
    seen.rate = 300'000;
    const IoPlan plan = cheapest_plan(seen, always(2'000'000), {10'000});
    EXPECT_EQ(plan.mode, IoMode::batch);
    EXPECT_GT(plan.batch, 1u);
    EXPECT_LE(plan.batch, 32u);
    seen.depth = 1;
    EXPECT_NE(cheapest_plan(seen, always(2'000'000), {10'000}).mode, IoMode::batch);
}

TEST(CostModel, NothingOverflowsAtTheExtremes) {
    const Observation seen{.rate = ~std::uint64_t{0} / 2,
                           .depth = 0,
                           .runnable = 1000,
                           .interrupt_overhead_ns = ~0u,
                           .polling_overhead_ns = ~0u,
                           .interrupt_cpu_ns = ~0u,
                           .polling_cpu_ns = ~0u,
                           .timer_cpu_ns = ~0u};
    DurationHistogram service;
    for (int i = 0; i < 1000; ++i) service.add(~std::uint64_t{0});
    for (const IoMode mode : {IoMode::interrupt, IoMode::polling, IoMode::hybrid, IoMode::batch}) {
        const IoCost cost = predict(seen, service, fixed_plan(mode));
        EXPECT_LE(cost.latency_ns, std::uint64_t{1} << 34) << describe(mode);
    }
    cheapest_plan(seen, {}, {0});
}

}  // namespace
}  // namespace exo::guest
