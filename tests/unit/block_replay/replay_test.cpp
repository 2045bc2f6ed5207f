#include "tests/sim/block/replay.h"

#include <gtest/gtest.h>

#include "tests/sim/random.h"

namespace exo::sim {
namespace {

using guest::IoMode;
using guest::IoPlan;

constexpr ReplayCosts costs = {
    .operation_cpu = 10, .interrupt_cpu = 1'000, .interrupt_latency = 2'000, .poll_latency = 50};

/// The same plan for ever; asks for samples.
class OnePlan final : public ReplayPolicy {
  public:
    explicit OnePlan(WaitPlan plan) : plan_(plan) {}
    std::string name() const override { return "one plan"; }
    WaitPlan begin(std::uint64_t, bool& timed) override {
        timed = true;
        return plan_;
    }
    void end(std::uint64_t) override {}
    void sample(const guest::IoSample& sample, std::uint64_t, std::uint32_t depth) override {
        samples.push_back(sample);
        depths.push_back(depth);
    }
    void interrupted(std::uint64_t, std::uint64_t completions) override { gathered.push_back(completions); }

    std::vector<guest::IoSample> samples;
    std::vector<std::uint32_t> depths;
    std::vector<std::uint64_t> gathered;

  private:
    WaitPlan plan_;
};

ReplayResult run(const BlockTrace& trace, const IoPlan& plan, std::uint64_t gather_ns = 100'000) {
    OnePlan policy({plan, gather_ns});
    return replay(trace, policy, costs);
}

using Latencies = std::vector<std::uint64_t>;

TEST(Replay, InterruptTakesItsTimeAndOneInterrupt) {
    const ReplayResult result = run({{100, 5'000}}, fixed_plan(IoMode::interrupt));
    EXPECT_EQ(result.latencies, (Latencies{7'000}));
    EXPECT_EQ(result.cpu_ns, 1'010u);
    EXPECT_EQ(result.interrupts, 1u);
}

TEST(Replay, PollingSpinsAllTheTime) {
    const ReplayResult result = run({{100, 5'000}}, fixed_plan(IoMode::polling));
    EXPECT_EQ(result.latencies, (Latencies{5'050}));
    EXPECT_EQ(result.spin_ns, 5'050u);
    EXPECT_EQ(result.cpu_ns, 5'060u);
    EXPECT_EQ(result.interrupts, 0u);
}

TEST(Replay, SpinningForSeveralCountsOnce) {
    const ReplayResult result = run({{0, 5'000}, {1'000, 5'000}}, fixed_plan(IoMode::polling));
    EXPECT_EQ(result.latencies, (Latencies{5'050, 5'050}));
    EXPECT_EQ(result.spin_ns, 6'050u);
}

TEST(Replay, HybridPollsForItsBudgetThenSleeps) {
    const IoPlan plan = {.mode = IoMode::hybrid, .poll_budget_ns = 3'000};
    const ReplayResult within = run({{0, 2'000}}, plan);
    EXPECT_EQ(within.latencies, (Latencies{2'050}));
    EXPECT_EQ(within.cpu_ns, 2'060u);
    const ReplayResult beyond = run({{0, 5'000}}, plan);
    EXPECT_EQ(beyond.latencies, (Latencies{7'000}));
    EXPECT_EQ(beyond.cpu_ns, 3'000u + 1'000 + 10);
}

TEST(Replay, AFirstSleepEndsByTimerOrByInterrupt) {
    const IoPlan plan = {.mode = IoMode::hybrid, .poll_budget_ns = 10'000, .first_sleep_ns = 20'000};
    const ReplayResult polled = run({{0, 25'000}}, plan);
    EXPECT_EQ(polled.latencies, (Latencies{25'050}));
    EXPECT_EQ(polled.spin_ns, 3'050u) << "from the timer at 20,000 and its latency of 2,000 on";
    EXPECT_EQ(polled.interrupts, 0u);
    EXPECT_EQ(polled.cpu_ns, 3'050u + 1'000 + 10);
    const ReplayResult early = run({{0, 5'000}}, plan);
    EXPECT_EQ(early.latencies, (Latencies{7'000}));
    EXPECT_EQ(early.spin_ns, 0u);
}

TEST(Replay, APollerSeesTheEndsOfThoseThatSleep) {
    const IoPlan plan = {.mode = IoMode::hybrid, .poll_budget_ns = 3'000};
    const ReplayResult result = run({{0, 10'000}, {9'000, 2'000}}, plan);
    EXPECT_EQ(result.latencies, (Latencies{10'050, 2'050}));
    EXPECT_EQ(result.interrupts, 0u);
}

TEST(Replay, EndsDuringAnInterruptAreToldByIt) {
    OnePlan policy({fixed_plan(IoMode::interrupt)});
    const ReplayResult result = replay({{0, 1'000}, {0, 2'500}, {0, 3'001}}, policy, costs);
    EXPECT_EQ(result.latencies, (Latencies{3'000, 3'000, 5'001}));
    EXPECT_EQ(policy.gathered, (Latencies{2, 1}));
    EXPECT_EQ(policy.samples[0].cpu_ns, 510u);
    EXPECT_EQ(policy.samples[2].cpu_ns, 1'010u);
    EXPECT_EQ(policy.depths, (std::vector<std::uint32_t>{1, 2, 3}));
}

TEST(Replay, ABatchIsToldAtItsCount) {
    const IoPlan plan = {.mode = IoMode::batch, .batch = 2};
    const ReplayResult result = run({{0, 1'000}, {0, 4'000}, {0, 50'000}}, plan);
    EXPECT_EQ(result.latencies, (Latencies{6'000, 6'000, 52'000}));
    EXPECT_EQ(result.interrupts, 2u);
}

TEST(Replay, ABatchWaitsNoLongerThanItsDeadline) {
    const IoPlan plan = {.mode = IoMode::batch, .batch = 32};
    const ReplayResult result = run({{0, 1'000}, {0, 50'000}}, plan, 10'000);
    EXPECT_EQ(result.latencies, (Latencies{13'000, 52'000}));
}

TEST(Replay, ABatchIsToldWhenNothingIsLeftInTheDevice) {
    const IoPlan plan = {.mode = IoMode::batch, .batch = 32};
    EXPECT_EQ(run({{0, 1'000}}, plan).latencies, (Latencies{3'000}));
}

TEST(Replay, AnUrgentEndIsToldAtOnceAndTakesTheOthersAlong) {
    const IoPlan plan = {.mode = IoMode::batch, .batch = 32};
    const ReplayResult result = run({{0, 1'000}, {0, 3'000, true}, {0, 60'000}}, plan);
    EXPECT_EQ(result.latencies, (Latencies{5'000, 5'000, 62'000}));
}

TEST(Replay, CostIsMedianPlusPriceTimesCpu) {
    const ReplayResult result =
        run({{0, 5'000}, {100'000, 7'000}, {200'000, 9'000}}, fixed_plan(IoMode::interrupt));
    EXPECT_EQ(result.median_ns(), 9'000u);
    EXPECT_EQ(result.quantile_ns(1'000), 11'000u);
    EXPECT_DOUBLE_EQ(result.cost({.thousandths = 100}), 9'000 + 101.0);
    EXPECT_DOUBLE_EQ(result.cost({.thousandths = 10'000}), 9'000 + 10'100.0);
}

/// Requests as a load of `rate` a second makes them, for so long.
void add_load(BlockTrace& trace, Random& random, double rate, std::uint64_t service_ns,
              std::uint64_t for_ns) {
    const std::uint64_t begin = trace.empty() ? 0 : trace.back().submit_ns;
    for (double at = random.exponential(1e9 / rate); at < static_cast<double>(for_ns);
         at += random.exponential(1e9 / rate))
        trace.push_back({begin + static_cast<std::uint64_t>(at),
                         service_ns / 2 +
                             static_cast<std::uint64_t>(random.uniform() * static_cast<double>(service_ns))});
}

IoMode mode_at(double rate) {
    const auto policy = throughput_policy();
    std::uint64_t now = 0;
    bool timed = false;
    for (double i = 0; i < 2 * rate; ++i) {
        now += static_cast<std::uint64_t>(1e9 / rate);
        policy->begin(now, timed);
        policy->end(now);
    }
    return policy->begin(now, timed).plan.mode;
}

TEST(ReplayPolicies, ThroughputKnowsTwoThresholds) {
    EXPECT_EQ(mode_at(500), IoMode::interrupt);
    EXPECT_EQ(mode_at(5'000), IoMode::hybrid);
    EXPECT_EQ(mode_at(20'000), IoMode::polling);
}

TEST(ReplayPolicies, EachNameHasOne) {
    for (const std::string_view name : policy_names()) {
        const auto policy = policy_named(name, {});
        ASSERT_NE(policy, nullptr) << name;
        EXPECT_EQ(policy->name(), name);
    }
    EXPECT_EQ(policy_named("none", {}), nullptr);
}

/// A quick device, then a slow one: what is best for one is bad for the other.
TEST(ReplayPolicies, AdaptiveBeatsEveryFixedOneWhenTheLoadChanges) {
    Random random(7);
    BlockTrace trace;
    for (int phase = 0; phase < 3; ++phase) {
        add_load(trace, random, 20'000, 4'000, 2 * guest::ns_per_s);
        add_load(trace, random, 1'000, 1'000'000, 2 * guest::ns_per_s);
    }
    const ReplayCosts machine;
    const guest::CpuPrice price{1'000};
    const double adaptive = replay(trace, *adaptive_policy(price), machine).cost(price);
    for (const std::string_view name : policy_names()) {
        if (name == "adaptive") continue;
        EXPECT_LT(adaptive, replay(trace, *policy_named(name, price), machine).cost(price)) << name;
    }
}

}  // namespace
}  // namespace exo::sim
