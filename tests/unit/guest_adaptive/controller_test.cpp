#include "guest/drivers/adaptive/controller.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

namespace exo::guest {
namespace {

/// A machine with one waiter and a device: an operation takes what the device takes, plus what its plan
/// costs.
class Machine {
  public:
    std::uint64_t interrupt_ns = 10'000;
    std::uint64_t poll_ns = 500;
    std::uint64_t handover_ns = 300;
    bool tells_service = true;
    std::uint32_t runnable = 0;

    struct Result {
        std::uint64_t latency_ns;
        std::uint64_t cpu_ns;
        bool slept;
    };

    Result run(std::uint64_t service, const IoPlan& plan) const {
        const std::uint64_t polled = service + poll_ns;
        if (plan.poll_budget_ns >= polled) return {polled, handover_ns + polled, false};
        return {service + interrupt_ns, handover_ns + interrupt_ns + plan.poll_budget_ns, true};
    }
};

struct Outcome {
    std::uint64_t median_ns;
    std::uint64_t cpu_ns;  ///< mean
    std::uint64_t cost(std::uint64_t price) const { return median_ns + cpu_ns * price / 1000; }
};

using Service = std::function<std::uint64_t()>;

/// Closed loop of one operation after the other, `think_ns` apart.
Outcome drive(Controller& controller, const Machine& machine, const Service& service, std::uint64_t think_ns,
              std::size_t operations, std::uint64_t& now) {
    std::vector<std::uint64_t> latencies;
    std::uint64_t cpu = 0;
    for (std::size_t i = 0; i < operations; ++i) {
        const bool timed = controller.begin();
        const std::uint64_t took = service();
        const Machine::Result result = machine.run(took, controller.plan(timed));
        now += result.latency_ns + machine.handover_ns + think_ns;
        latencies.push_back(result.latency_ns);
        cpu += result.cpu_ns;
        controller.end(1);
        if (!timed) continue;
        const std::uint64_t own_cpu =
            machine.handover_ns + (result.slept ? machine.interrupt_ns : machine.poll_ns);
        controller.sample({.latency_ns = result.latency_ns,
                           .service_ns = machine.tells_service ? took : 0,
                           .cpu_ns = own_cpu,
                           .slept = result.slept},
                          now, 1, machine.runnable);
    }
    std::ranges::nth_element(latencies, latencies.begin() + static_cast<std::ptrdiff_t>(operations / 2));
    return {latencies[operations / 2], cpu / operations};
}

Outcome drive_mode(std::optional<IoMode> mode, std::uint32_t price, const Machine& machine,
                   const Service& service, std::uint64_t think_ns) {
    Controller controller({.price = {price}, .fixed = mode});
    std::uint64_t now = ns_per_s;
    drive(controller, machine, service, think_ns, 50'000, now);
    return drive(controller, machine, service, think_ns, 20'000, now);
}

Service constant(std::uint64_t ns) {
    return [ns] { return ns; };
}

class AgainstStaticModes
    : public testing::TestWithParam<std::tuple<std::uint32_t, std::uint64_t, std::uint64_t>> {};

/// The aim of it all, on a machine without noise.
TEST_P(AgainstStaticModes, IsWithinFivePercentOfTheBetterOne) {
    const auto [price, service_ns, think_ns] = GetParam();
    const Machine machine;
    const Service service = constant(service_ns);
    const std::uint64_t interrupt =
        drive_mode(IoMode::interrupt, price, machine, service, think_ns).cost(price);
    const std::uint64_t polling = drive_mode(IoMode::polling, price, machine, service, think_ns).cost(price);
    const std::uint64_t adaptive = drive_mode(std::nullopt, price, machine, service, think_ns).cost(price);
    EXPECT_LE(adaptive, std::min(interrupt, polling) * 105 / 100)
        << "interrupt " << interrupt << ", polling " << polling;
}

INSTANTIATE_TEST_SUITE_P(Loads, AgainstStaticModes,
                         testing::Combine(testing::Values(100, 1'000, 10'000),
                                          testing::Values(100, 5'000, 10'000, 50'000, 100'000, 1'000'000),
                                          testing::Values(0, 100'000, 10'000'000)));

TEST(Controller, BeatsEveryStaticModeWhenTheDeviceVaries) {
    const Machine machine;
    std::mt19937 random(7);
    const Service service = [&] {
        return random() % 10 == 0 ? std::uint64_t{400'000} : std::uint64_t{3'000};
    };
    const auto cost = [&](std::optional<IoMode> mode) {
        const Outcome outcome = drive_mode(mode, 1000, machine, service, 0);
        return outcome.median_ns + outcome.cpu_ns;
    };
    const std::uint64_t adaptive = cost(std::nullopt);
    EXPECT_LT(adaptive * 11 / 10, cost(IoMode::interrupt));
    EXPECT_LT(adaptive * 11 / 10, cost(IoMode::polling));
}

TEST(Controller, StartsByTheOriginalThresholdsAndLearnsWithinAFewOperations) {
    Controller controller;
    EXPECT_EQ(controller.plan().mode, IoMode::interrupt);
    std::uint64_t now = ns_per_s;
    drive(controller, Machine{}, constant(1'000), 1'000'000, 50, now);
    EXPECT_EQ(controller.plan().mode, IoMode::polling) << "a device quicker than its interrupt";
}

TEST(Controller, FollowsADeviceThatChanges) {
    const Machine machine;
    Controller controller;
    std::uint64_t now = ns_per_s;
    drive(controller, machine, constant(2'000), 0, 20'000, now);
    EXPECT_EQ(controller.plan().mode, IoMode::polling);
    drive(controller, machine, constant(1'000'000), 0, 300, now);
    EXPECT_EQ(controller.plan().mode, IoMode::interrupt);
    drive(controller, machine, constant(2'000), 0, 5'000, now);
    EXPECT_EQ(controller.plan().mode, IoMode::polling);
}

TEST(Controller, DoesNotFlapWhereTheModesCostTheSame) {
    const Machine machine;
    std::mt19937 random(1);
    // By polling (s + 0.5) + (s + 0.8), by interrupt (s + 10) + 10.3: they meet at s = 19 µs.
    const Service service = [&] { return 14'000 + random() % 10'000; };
    Controller controller;
    std::uint64_t now = ns_per_s;
    drive(controller, machine, service, 0, 2'000, now);
    const std::uint64_t before = controller.switches();
    drive(controller, machine, service, 0, 100'000, now);
    EXPECT_LE(controller.switches() - before, 6u) << "there and back again, to see whether it still holds";
}

TEST(Controller, LearnsWhatTheMachineTakes) {
    Machine machine;
    machine.interrupt_ns = 42'000;
    Controller controller;
    std::uint64_t now = ns_per_s;
    drive(controller, machine, constant(30'000), 0, 5'000, now);
    EXPECT_NEAR(controller.observation().interrupt_overhead_ns, 42'000, 500);
    EXPECT_NEAR(controller.observation().polling_overhead_ns, 500, 50);
    machine.interrupt_ns = 4'000;
    drive(controller, machine, constant(30'000), 0, 40'000, now);
    EXPECT_NEAR(controller.observation().interrupt_overhead_ns, 4'000, 2'000) << "probing keeps it fresh";
}

TEST(Controller, ADeviceThatTellsNothingIsJudgedByPolling) {
    Machine machine;
    machine.tells_service = false;
    Controller quick;
    std::uint64_t now = ns_per_s;
    drive(quick, machine, constant(2'000), 0, 5'000, now);
    EXPECT_EQ(quick.plan().mode, IoMode::polling);
    Controller slow;
    drive(slow, machine, constant(150'000), 0, 5'000, now);
    EXPECT_EQ(slow.plan().mode, IoMode::interrupt);
}

TEST(Controller, ALiarCostsTimeNotCorrectness) {
    Controller controller;
    std::uint64_t now = ns_per_s;
    for (int i = 0; i < 10'000; ++i) {
        const bool timed = controller.begin();
        controller.end(1);
        now += 20'000;
        if (timed)
            controller.sample({20'000, ~std::uint64_t{0}, 10'000, controller.plan(timed).poll_budget_ns == 0},
                              now, 1, 0);
    }
    EXPECT_LE(controller.service().quantile(1000), 24'000u) << "never longer than what was seen here";
}

TEST(Controller, FixedModesStayAndCount) {
    Controller controller({.fixed = IoMode::interrupt});
    std::uint64_t now = ns_per_s;
    drive(controller, Machine{}, constant(1'000), 0, 10'000, now);
    EXPECT_EQ(controller.switches(), 0u);
    const IoModeStatistics statistics = controller.statistics(IoMode::interrupt, now);
    EXPECT_EQ(statistics.operations, 10'000u);
    EXPECT_GT(statistics.latency.total(), 500u);
    EXPECT_NEAR(static_cast<double>(statistics.time_ns), static_cast<double>(now - ns_per_s), 1e6);
    controller.configure({.fixed = IoMode::batch}, now);
    EXPECT_EQ(controller.plan(), fixed_plan(IoMode::batch));
    EXPECT_EQ(controller.switches(), 1u);
}

TEST(Controller, WithoutAnInterruptEverythingIsPolled) {
    Controller controller({.fixed = IoMode::interrupt, .has_interrupt = false});
    EXPECT_EQ(controller.plan().mode, IoMode::polling);
    std::uint64_t now = ns_per_s;
    drive(controller, Machine{}, constant(5'000'000), 0, 100, now);
    EXPECT_EQ(controller.plan().mode, IoMode::polling);
}

TEST(Controller, GivesTheCpuToOthersThatWantIt) {
    Machine machine;
    Controller controller;
    std::uint64_t now = ns_per_s;
    const auto slept = [&] { return controller.statistics(IoMode::interrupt, now).operations; };
    drive(controller, machine, constant(12'000), 0, 20'000, now);
    const std::uint64_t before = slept();
    EXPECT_LT(before, 4'000u);
    machine.runnable = 8;
    drive(controller, machine, constant(12'000), 0, 20'000, now);
    EXPECT_GT(slept() - before, 16'000u);
}

TEST(Controller, TimesAFewOfManyAndAllOfFew) {
    Controller busy;
    std::uint64_t now = ns_per_s;
    drive(busy, Machine{}, constant(1'000), 0, 50'000, now);
    std::size_t timed = 0;
    for (int i = 0; i < 1'600; ++i) timed += busy.begin() ? 1 : 0;
    EXPECT_EQ(timed, 100u);
    Controller idle;
    drive(idle, Machine{}, constant(1'000), 10 * ns_per_ms, 100, now);
    EXPECT_TRUE(idle.begin());
    EXPECT_TRUE(idle.begin());
}

/// A waiter that has lost its CPU finds out milliseconds late, however it waits.
TEST(Controller, AWaiterThatLosesItsCpuNowAndThenDoesNotDecide) {
    Controller controller({.price = {100}});
    std::uint64_t now = ns_per_s;
    std::uint64_t samples = 0;
    unsigned slept = 0;
    for (unsigned i = 0; i < 60'000; ++i) {
        const bool timed = controller.begin();
        const bool polls = controller.plan(timed).poll_budget_ns > 20'500;
        slept += i >= 5'000 && !polls ? 1 : 0;
        controller.end(1);
        now += 50'000;
        if (!timed) continue;
        const std::uint64_t late = ++samples % 5 == 0 ? samples % 7 * 1'000'000 : 0;
        controller.sample({.latency_ns = 20'000 + (polls ? 500u : 10'000u) + late,
                           .service_ns = 20'000,
                           .cpu_ns = polls ? 500u : 10'000u,
                           .slept = !polls},
                          now, 1, 0);
    }
    EXPECT_LT(slept, 2'000u) << "of 55,000, which are cheaper when polled: probes and trials";
}

/// Rounds of `depth` requests that are handed over together and end one after the other, on a device whose
/// pace depends on whether its driver polls: the time they took.
/// @param each_ns       one request takes the device so long, by whether the driver polls
/// @param interrupt_ns  CPU time of the interrupt that tells of them all
template <typename Each>
std::uint64_t drive_rounds(Controller& controller, std::uint32_t depth, unsigned rounds, Each each_ns,
                           std::uint64_t& now, std::uint64_t interrupt_ns = 2'000) {
    constexpr std::uint64_t wake_ns = 20'000;
    const std::uint64_t start = now;
    for (unsigned round = 0; round < rounds; ++round) {
        std::uint32_t timed = 0;
        for (std::uint32_t i = 0; i < depth; ++i) timed += controller.begin() ? 1 : 0;
        const IoPlan plan = controller.plan(timed > 0);
        const std::uint64_t service = depth * each_ns(controller.plan().poll_budget_ns > 0);
        const bool polled = plan.poll_budget_ns >= service;
        const std::uint64_t latency = service + (polled ? 500 : wake_ns);
        now += latency;
        controller.end(depth);
        for (; timed > 0; --timed)
            controller.sample({.latency_ns = latency,
                               .service_ns = service,
                               .cpu_ns = polled ? 300 : interrupt_ns,
                               .slept = !polled,
                               .together = polled ? 1 : depth},
                              now, depth, 0);
    }
    return now - start;
}

std::uint64_t driven_in(std::optional<IoMode> mode, std::uint32_t depth,
                        const std::function<std::uint64_t(bool)>& each_ns) {
    Controller controller({.fixed = mode});
    std::uint64_t now = ns_per_s;
    const unsigned rounds = 200'000 / depth;
    drive_rounds(controller, depth, rounds, each_ns, now);
    return drive_rounds(controller, depth, rounds, each_ns, now);
}

/// The probe was over when the next request of the burst was handed over, so nothing was learned of it.
TEST(Controller, ProbesAreMadeWhereRequestsAreHandedOverTogether) {
    Controller controller({.fixed = IoMode::polling});
    std::uint64_t now = ns_per_s;
    const auto each = [](bool) { return std::uint64_t{20'000}; };
    drive_rounds(controller, 32, 100, each, now);
    controller.configure({}, now);
    drive_rounds(controller, 32, 100, each, now);
    EXPECT_EQ(controller.observation().interrupt_overhead_ns, 20'000u);
}

/// Each was charged the whole of an interrupt that told of all eight, so polling seemed to save CPU time.
TEST(Controller, OperationsThatAnInterruptTellsOfTogetherShareIt) {
    Controller controller({.price = {10'000}});
    std::uint64_t now = ns_per_s;
    unsigned polled = 0;
    const auto each = [&](bool polls) {
        polled += polls ? 1 : 0;
        return std::uint64_t{10'000};
    };
    drive_rounds(controller, 8, 20'000, each, now, 20'000);
    EXPECT_EQ(controller.observation().told_together, 8u);
    polled = 0;
    drive_rounds(controller, 8, 10'000, each, now, 20'000);
    EXPECT_LT(polled, 1'000u)
        << "of 10,000 rounds; an operation by interrupt costs 100 + 10 x 2.5 us, by polling 80 + 10 x 10";
}

TEST(Controller, OnePauseDoesNotMakeADeviceAnotherOne) {
    Controller controller;
    std::uint64_t now = ns_per_s;
    bool pause = false;
    const auto each = [&](bool) { return std::uint64_t{pause ? 400'000u : 20'000u}; };
    drive_rounds(controller, 32, 1'000, each, now);
    const std::uint64_t before = controller.service().total();
    pause = true;
    drive_rounds(controller, 32, 1, each, now);
    EXPECT_GE(controller.service().total(), before / 2);
}

class WithDepth : public testing::TestWithParam<std::uint32_t> {};

/// Who polls takes the CPU that the device's thread needs, on a host that is busy.
TEST_P(WithDepth, PollingThatSlowsTheDeviceIsGivenUp) {
    const auto each = [](bool polls) { return std::uint64_t{polls ? 60'000u : 20'000u}; };
    EXPECT_LE(driven_in(std::nullopt, GetParam(), each),
              driven_in(IoMode::interrupt, GetParam(), each) * 10 / 9);
}

/// And keeps that thread from falling asleep, on one that is not.
TEST_P(WithDepth, PollingThatSpeedsTheDeviceUpIsFound) {
    const auto each = [](bool polls) { return std::uint64_t{polls ? 15'000u : 30'000u}; };
    EXPECT_LE(driven_in(std::nullopt, GetParam(), each),
              driven_in(IoMode::polling, GetParam(), each) * 10 / 9);
}

INSTANTIATE_TEST_SUITE_P(Controller, WithDepth, testing::Values(1, 4, 32));

}  // namespace
}  // namespace exo::guest
