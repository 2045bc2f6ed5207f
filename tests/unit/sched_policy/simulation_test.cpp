// The simulator against queueing theory, and in it what the policies promise.
#include "tests/sim/simulation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "guest/sched/policy/round_robin_queue.h"
#include "tests/sim/fair_policy.h"
#include "tests/sim/kernel_policy.h"
#include "tests/sim/oracle_policy.h"
#include "tests/sim/workloads.h"

namespace exo::sim {
namespace {

using guest::microseconds;
using guest::milliseconds;
using guest::PredictiveQueue;
using guest::RoundRobinQueue;

constexpr Costs free_of_charge{0, 0};

double mean_response(const Workload& workload, Scheduler& scheduler, Nanoseconds duration) {
    Simulation simulation(workload, scheduler, free_of_charge, 1);
    return static_cast<double>(mean(simulation.run(milliseconds(1'000), duration).responses()));
}

/// Poisson arrivals at `load` for one server, bursts of 1 ms.
Workload open_queue(unsigned threads, double load, Distribution burst) {
    const Distribution pause{Distribution::Kind::exponential, burst.mean / load * threads};
    return {"open", 1, {{"jobs", threads, burst, pause, 1, false, true}}};
}

TEST(Simulation, MatchesTheMM1Queue) {
    KernelPolicy<RoundRobinQueue> policy(1);
    const double response =
        mean_response(open_queue(1, 0.7, exponential(milliseconds(1))), policy, milliseconds(1'000'000));
    EXPECT_NEAR(response, 1e6 / (1 - 0.7), 0.03 * 1e6 / (1 - 0.7));
}

TEST(Simulation, MatchesTheMD1QueueWithOneThreadAndWithMany) {
    // Pollaczek and Khinchine: the wait is rho / (2 (1 - rho)) services.
    const double expected = 1e6 * (1 + 0.7 / (2 * (1 - 0.7)));
    for (const unsigned threads : {1U, 100U}) {
        KernelPolicy<RoundRobinQueue> policy(1);
        const double response =
            mean_response(open_queue(threads, 0.7, constant(milliseconds(1))), policy, milliseconds(500'000));
        EXPECT_NEAR(response, expected, 0.03 * expected) << threads << " threads";
    }
}

TEST(Simulation, NobodyHasASmallerMeanThanTheOracle) {
    const Workload workload = open_queue(50, 0.8, exponential(milliseconds(3)));
    OraclePolicy oracle(1);
    const double best = mean_response(workload, oracle, milliseconds(60'000));
    KernelPolicy<PredictiveQueue> predictive(1);
    CfsPolicy cfs(1);
    EevdfPolicy eevdf(1);
    for (Scheduler* const other : {static_cast<Scheduler*>(&predictive), static_cast<Scheduler*>(&cfs),
                                   static_cast<Scheduler*>(&eevdf)})
        EXPECT_GE(mean_response(workload, *other, milliseconds(60'000)), best);
}

TEST(Simulation, OpenThreadsAreAskedForTheSameByEveryScheduler) {
    const Workload workload = open_queue(10, 0.8, exponential(milliseconds(3)));
    const auto work = [&](Scheduler& scheduler) {
        const auto result = Simulation(workload, scheduler, free_of_charge, 1).run(0, milliseconds(60'000));
        return static_cast<double>(result.groups[0].work);
    };
    KernelPolicy<RoundRobinQueue> round_robin(1);
    OraclePolicy oracle(1);
    EXPECT_NEAR(work(round_robin), work(oracle), 1e8) << "but for what is under way at the end";
}

TEST(Simulation, FairPeersGiveHogsEqualShares) {
    const Workload workload{"hogs", 1, {hogs(5)}};
    CfsPolicy cfs(1);
    EevdfPolicy eevdf(1);
    for (Scheduler* const fair : {static_cast<Scheduler*>(&cfs), static_cast<Scheduler*>(&eevdf)}) {
        const auto result = Simulation(workload, *fair, free_of_charge, 1).run(0, milliseconds(10'000));
        for (const Nanoseconds time : result.groups[0].cpu_times)
            EXPECT_NEAR(static_cast<double>(time), 2e9, 1e7);
    }
}

template <class Policy>
class PolicyProperties : public testing::Test {};
using Policies = testing::Types<KernelPolicy<PredictiveQueue>, KernelPolicy<RoundRobinQueue>, CfsPolicy,
                                EevdfPolicy, OraclePolicy>;
TYPED_TEST_SUITE(PolicyProperties, Policies);

Workload random_workload(Random& random) {
    Workload workload{"random", 1 + static_cast<unsigned>(random.next() % 4), {}};
    for (int i = 0; i < 3; ++i) {
        const auto burst = microseconds(100 + random.next() % 30'000);
        workload.groups.push_back({"group", 1 + static_cast<unsigned>(random.next() % 12), exponential(burst),
                                   exponential(burst * (1 + random.next() % 20)), 2, random.next() % 4 == 0,
                                   random.next() % 3 == 0});
    }
    return workload;
}

TYPED_TEST(PolicyProperties, NoCpuIdlesWhileWorkWaitsAndNoTimeIsLost) {
    Random random(7);
    for (std::uint64_t seed = 1; seed <= 15; ++seed) {
        const Workload workload = random_workload(random);
        TypeParam policy(workload.cpus);
        const auto result =
            Simulation(workload, policy, Costs{}, seed).run(milliseconds(500), milliseconds(3'000));
        EXPECT_EQ(result.idle_while_ready, 0U) << "seed " << seed;
        Nanoseconds used = result.idle + result.overhead;
        for (const GroupResult& group : result.groups) used += group.total_cpu_time();
        EXPECT_EQ(used, workload.cpus * result.duration) << "seed " << seed;
    }
}

TYPED_TEST(PolicyProperties, TheSameSeedGivesTheSameRun) {
    const Workload workload = standard_workloads()[1];
    const auto run = [&] {
        TypeParam policy(workload.cpus);
        return Simulation(workload, policy, Costs{}, 3).run(0, milliseconds(2'000)).responses();
    };
    EXPECT_EQ(run(), run());
}

/// Threads that sleep so little that they alone would keep the CPU busy for ever.
Group flood(unsigned threads, Nanoseconds burst) {
    return {"flood", threads, around(burst), constant(microseconds(1)), 1};
}

TEST(PredictivePolicy, NobodyWaitsLongerThanTheBound) {
    const Workload floods[] = {
        {"hot over cold", 1, {flood(4, milliseconds(2)), hogs(4)}},
        {"hot over normal and cold", 1, {flood(8, milliseconds(1)), flood(3, milliseconds(40)), hogs(6)}},
        {"shortest over short", 1, {flood(6, microseconds(100)), flood(6, milliseconds(8))}},
        {"two CPUs", 2, {flood(12, milliseconds(3)), flood(4, milliseconds(50)), hogs(16)}},
    };
    for (const Workload& workload : floods) {
        KernelPolicy<PredictiveQueue> policy(workload.cpus);
        std::uint64_t threads = 0;
        for (const Group& group : workload.groups) threads += group.threads;
        const auto result = Simulation(workload, policy, Costs{}, 1).run(0, milliseconds(60'000));
        EXPECT_LE(result.longest_wait, PredictiveQueue::starvation_bound(threads)) << workload.name;
        for (const GroupResult& group : result.groups)
            for (const Nanoseconds time : group.cpu_times) EXPECT_GT(time, milliseconds(60)) << workload.name;
    }
}

TEST(PredictivePolicy, HogsShareEvenly) {
    KernelPolicy<PredictiveQueue> policy(1);
    const Workload workload = standard_workloads()[0];
    const auto result =
        Simulation(workload, policy, Costs{}, 1).run(milliseconds(5'000), milliseconds(60'000));
    const auto& times = result.groups[1].cpu_times;
    const double share = static_cast<double>(result.groups[1].total_cpu_time()) / 4;
    for (const Nanoseconds time : times) EXPECT_NEAR(static_cast<double>(time), share, 0.1 * share);
}

}  // namespace
}  // namespace exo::sim
