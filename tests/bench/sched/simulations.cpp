#include "tests/bench/sched/simulations.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "guest/sched/policy/predictive_queue.h"
#include "guest/sched/policy/round_robin_queue.h"
#include "tests/sim/fair_policy.h"
#include "tests/sim/kernel_policy.h"
#include "tests/sim/oracle_policy.h"
#include "tests/sim/simulation.h"
#include "tests/sim/workloads.h"

namespace exo::bench {
namespace {

using guest::milliseconds;

struct Contestant {
    const char* name;
    Side side;
    std::function<std::unique_ptr<sim::Scheduler>(unsigned cpus)> make;
};

template <class Policy>
Contestant contestant(const char* name, Side side) {
    return {name, side, [](unsigned cpus) { return std::make_unique<Policy>(cpus); }};
}

const std::array<Contestant, 5>& contestants() {
    static const std::array<Contestant, 5> all = {
        contestant<sim::KernelPolicy<guest::PredictiveQueue>>("predictive", Side::own),
        contestant<sim::CfsPolicy>("fair (CFS)", Side::peer),
        contestant<sim::EevdfPolicy>("fair (EEVDF)", Side::peer),
        contestant<sim::KernelPolicy<guest::RoundRobinQueue>>("round robin", Side::peer),
        contestant<sim::OraclePolicy>("oracle (SRPT)", Side::bound),
    };
    return all;
}

/// One number of a run. Where less is not better there is no peer to beat.
enum Figure : std::size_t {
    mean_response,
    median_response,
    p99_response,
    hogs_of_rest,
    hogs_of_max_min,
    migrations,
    figure_count
};
constexpr std::array<const char*, figure_count> figure_names = {
    "mean", "p50", "p99", "hogs-of-rest", "hogs-of-max-min", "migrations"};
constexpr std::array<const char*, figure_count> units = {"us of response",
                                                         "us of response",
                                                         "us of response",
                                                         "% of what the others' demand leaves",
                                                         "% of the hogs' max-min fair share",
                                                         "migrations a second"};
using Figures = std::array<double, figure_count>;

/// The policies were tuned on other seeds than these.
constexpr std::array<std::uint64_t, 5> held_out_seeds = {101, 102, 103, 104, 105};

/// CPUs that each thread which is no hog asks for when requests arrive whether or not the last one was
/// answered.
std::vector<double> offered_loads(const sim::Workload& workload) {
    std::vector<double> loads;
    for (const sim::Group& group : workload.groups) {
        for (unsigned i = 0; i < group.threads && !group.hog; ++i) {
            const double place = group.threads == 1 ? 0.5 : i / (group.threads - 1.0);
            loads.push_back(group.burst.mean * std::pow(group.spread, 2 * place - 1) / group.pause.mean);
        }
    }
    return loads;
}

struct HogsShare {
    double rest = 0;     ///< CPUs left when everybody else has what it asks for
    double max_min = 0;  ///< CPUs when nobody has more than an equal share while another lacks something
};

HogsShare fair_share_of_hogs(const sim::Workload& workload) {
    std::vector<double> loads = offered_loads(workload);
    std::sort(loads.begin(), loads.end());
    std::size_t threads = loads.size();
    for (const sim::Group& group : workload.groups) threads += group.hog ? group.threads : 0;
    const auto cpus = static_cast<double>(workload.cpus);
    HogsShare share{cpus, cpus};
    for (const double load : loads) {
        share.max_min -= std::min(load, share.max_min / static_cast<double>(threads--));
        share.rest -= load;
    }
    return share;
}

sim::SimulationResult run(const sim::Workload& workload, const Contestant& who, std::uint64_t seed) {
    const auto scheduler = who.make(workload.cpus);
    return sim::Simulation(workload, *scheduler, sim::Costs{}, seed)
        .run(milliseconds(5'000), milliseconds(60'000));
}

/// CPUs that the hogs get. With open arrivals, so that every policy is asked for the same: a closed thread
/// that is answered sooner asks for more.
double cpus_of_hogs(sim::Workload workload, const Contestant& who, std::uint64_t seed) {
    for (sim::Group& group : workload.groups) group.open = !group.hog;
    const sim::SimulationResult result = run(workload, who, seed);
    double time = 0;
    for (std::size_t i = 0; i < result.groups.size(); ++i)
        if (workload.groups[i].hog) time += static_cast<double>(result.groups[i].total_cpu_time());
    return time / static_cast<double>(result.duration);
}

Figures simulate(const sim::Workload& workload, const Contestant& who, std::uint64_t seed) {
    const sim::SimulationResult result = run(workload, who, seed);
    const auto responses = result.responses();
    const double hogs = workload.has_hogs() ? 100 * cpus_of_hogs(workload, who, seed) : 0;
    const HogsShare fair = fair_share_of_hogs(workload);
    return {static_cast<double>(sim::mean(responses)) / 1e3,
            static_cast<double>(sim::percentile(responses, 50)) / 1e3,
            static_cast<double>(sim::percentile(responses, 99)) / 1e3,
            hogs / fair.rest,
            hogs / fair.max_min,
            static_cast<double>(result.migrations) * 1e9 / static_cast<double>(result.duration)};
}

/// The distribution of a figure over the seeds.
Distribution distribution(const std::vector<Figures>& runs, std::size_t figure) {
    std::vector<MilliTicks> samples;
    for (const Figures& run : runs) samples.push_back(static_cast<MilliTicks>(run[figure] * 1e3));
    return Distribution::of(samples);
}

void print_table(const sim::Workload& workload, const std::array<std::vector<Figures>, 5>& runs) {
    const auto median = [&](std::size_t who, Figure figure) {
        return static_cast<double>(distribution(runs[who], figure).median) / 1e3;
    };
    const auto share = [&](std::size_t who, Figure figure) {
        return workload.has_hogs() ? fmt::format("{:.1f}", median(who, figure)) : "-";
    };
    fmt::print("\nsched {}: {} CPU{}, medians of 5 seeds\n  {:<16}{:>10}{:>10}{:>10}{:>17}{:>17}{:>14}\n",
               workload.name, workload.cpus, workload.cpus == 1 ? "" : "s", "", "mean ms", "p50 ms", "p99 ms",
               "hogs % of rest", "% of max-min", "migrations/s");
    for (std::size_t who = 0; who < runs.size(); ++who) {
        fmt::print("  {:<16}{:>10.2f}{:>10.2f}{:>10.2f}{:>17}{:>17}{:>14.1f}\n", contestants()[who].name,
                   median(who, mean_response) / 1e3, median(who, median_response) / 1e3,
                   median(who, p99_response) / 1e3, share(who, hogs_of_rest), share(who, hogs_of_max_min),
                   median(who, migrations));
    }
    const double p99 = median(0, p99_response);
    const double fair = std::min(median(1, p99_response), median(2, p99_response));
    fmt::print(
        "  p99: {:.2f} better than the best fair peer, {:.2f} than round robin; mean: {:.2f} of the "
        "oracle's\n",
        fair / p99, median(3, p99_response) / p99, median(0, mean_response) / median(4, mean_response));
}

/// One case a figure, with a variant for each contestant.
void report(const sim::Workload& workload, const std::array<std::vector<Figures>, 5>& runs, Reporter& lines) {
    for (std::size_t figure = 0; figure < figure_count; ++figure) {
        if (!workload.has_hogs() && (figure == hogs_of_rest || figure == hogs_of_max_min)) continue;
        const std::string name = workload.name + "/" + figure_names[figure];
        std::list<Case> cases;
        CaseResult result;
        for (std::size_t who = 0; who < runs.size(); ++who) {
            const Contestant& its = contestants()[who];
            const Side side = figure <= p99_response ? its.side : Side::bound;
            cases.push_back({"sched", name.c_str(), its.name, units[figure], nullptr, side, 0});
            result.variants.push_back({&cases.back(), distribution(runs[who], figure), std::nullopt});
        }
        lines.add(result);
    }
}

}  // namespace

bool run_simulations(std::string_view case_filter, Reporter& lines) {
    bool any = false;
    for (const sim::Workload& workload : sim::standard_workloads()) {
        if (workload.name.find(case_filter) == std::string::npos) continue;
        if (!any) lines.begin({"discrete-event simulation, the samples are five seeds", 0, 0});
        any = true;
        std::array<std::vector<Figures>, 5> runs;
        for (std::size_t who = 0; who < runs.size(); ++who)
            for (const std::uint64_t seed : held_out_seeds)
                runs[who].push_back(simulate(workload, contestants()[who], seed));
        print_table(workload, runs);
        report(workload, runs, lines);
    }
    return any;
}

}  // namespace exo::bench
