#include "tests/bench/hosted/runner.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <span>

#include "tests/bench/frame/line_round_trip.h"
#include "tests/bench/frame/tsc.h"
#include "tests/bench/hosted/pinned_stage.h"
#include "tests/bench/hosted/platform.h"

extern "C" const exo::bench::Case __start_exo_bench[];
extern "C" const exo::bench::Case __stop_exo_bench[];

namespace exo::bench {
namespace {

using Variants = std::vector<const Case*>;

std::span<const Case> all_cases() {
    return {__start_exo_bench, __stop_exo_bench};
}

/// The selected variants by case, in order of their registration.
std::vector<Variants> select(const Selection& selection, unsigned cpus) {
    std::vector<Variants> groups;
    for (const Case& entry : all_cases()) {
        const bool suite_wanted = selection.suites.empty() ||
                                  std::find(selection.suites.begin(), selection.suites.end(), entry.suite) !=
                                      selection.suites.end();
        if (!suite_wanted || std::string(entry.name).find(selection.case_filter) == std::string::npos)
            continue;
        if (entry.cpus > cpus) {
            fmt::print(stderr, "{} {} left out: it needs {} CPUs\n", entry.suite, entry.name, entry.cpus);
            continue;
        }
        const auto same_case = std::find_if(groups.begin(), groups.end(), [&](const Variants& group) {
            return std::string(group[0]->suite) == entry.suite && std::string(group[0]->name) == entry.name;
        });
        (same_case != groups.end() ? *same_case : groups.emplace_back()).push_back(&entry);
    }
    return groups;
}

MilliTicks per_operation(const Run& run) {
    return run.ticks * 1000 / run.operations;
}

MilliTicks bare_round_trip(PinnedStage& stage) {
    if (stage.cpus() < 2) return 0;
    std::vector<MilliTicks> samples;
    for (int i = 0; i < 15; ++i) samples.push_back(per_operation(run_line_round_trip(stage)));
    return Distribution::of(samples).median;
}

void show_progress(const Variants& group, int round, int rounds) {
    if (isatty(STDERR_FILENO))
        fmt::print(stderr, "\r{} {}: round {} of {} \033[K", group[0]->suite, group[0]->name, round, rounds);
}
void end_progress() {
    if (isatty(STDERR_FILENO)) fmt::print(stderr, "\r\033[K");
}

std::expected<CaseResult, std::string> run_case(PinnedStage& stage, const Variants& group, int rounds) {
    constexpr int warm_up = 3;
    CaseResult result;
    result.round_trip_before = bare_round_trip(stage);
    std::vector<std::vector<MilliTicks>> samples(group.size());
    for (int round = -warm_up; round < rounds; ++round) {
        show_progress(group, std::max(round, 0), rounds);
        for (std::size_t i = 0; i < group.size(); ++i) {
            // Each round begins with another variant, so that none always follows the same one.
            const std::size_t at = (i + static_cast<std::size_t>(round + warm_up)) % group.size();
            const Run run = group[at]->run(stage);
            if (!run.verified)
                return std::unexpected(fmt::format("{} {}: {} delivered wrong data", group[at]->suite,
                                                   group[at]->name, group[at]->variant));
            if (round >= 0) samples[at].push_back(per_operation(run));
        }
    }
    result.round_trip_after = bare_round_trip(stage);
    for (std::size_t i = 0; i < group.size(); ++i)
        result.variants.push_back({group[i], Distribution::of(samples[i])});
    return result;
}

}  // namespace

bool CaseResult::placement_moved() const {
    const auto [low, high] = std::minmax(round_trip_before, round_trip_after);
    return high * 4 > low * 5;
}

const VariantResult* CaseResult::best_peer() const {
    const VariantResult* best = nullptr;
    for (const VariantResult& result : variants) {
        if (result.variant->side != Side::peer) continue;
        if (best == nullptr || result.distribution.median < best->distribution.median) best = &result;
    }
    return best;
}

std::expected<void, std::string> run_cases(const Selection& selection, Reporter& reporter) {
    const double load = load_average();
    PinnedStage stage;
    const std::vector<Variants> groups = select(selection, stage.cpus());
    if (groups.empty()) return std::unexpected("no case fits; run without arguments for all of them");
    reporter.begin(
        {fmt::format("{}, Linux process pinned to {}", describe_processor(), stage.describe_cpus()),
         core_cycles_per_1000_ticks(), load});
    for (const Variants& group : groups) {
        const auto result = run_case(stage, group, selection.rounds);
        end_progress();
        if (!result) return std::unexpected(result.error());
        reporter.add(*result);
    }
    return {};
}

}  // namespace exo::bench
