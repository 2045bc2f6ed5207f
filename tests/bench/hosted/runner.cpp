#include "tests/bench/hosted/runner.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <random>
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
    std::vector<std::optional<std::uint64_t>> hit_rates(group.size());
    // Each round has an order of its own: who always followed a variant that fills the caches would always
    // find them cold.
    std::vector<std::size_t> order(group.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::mt19937 random;
    for (int round = -warm_up; round < rounds; ++round) {
        show_progress(group, std::max(round, 0), rounds);
        std::ranges::shuffle(order, random);
        for (const std::size_t at : order) {
            const Run run = group[at]->run(stage);
            if (!run.verified)
                return std::unexpected(fmt::format("{} {}: {} delivered wrong data", group[at]->suite,
                                                   group[at]->name, group[at]->variant));
            if (round < 0) continue;
            samples[at].push_back(per_operation(run));
            if (run.hit_rate) hit_rates[at] = std::min(*run.hit_rate, hit_rates[at].value_or(*run.hit_rate));
        }
    }
    result.round_trip_after = bare_round_trip(stage);
    for (std::size_t i = 0; i < group.size(); ++i)
        result.variants.push_back({group[i], Distribution::of(samples[i]), hit_rates[i]});
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

bool has_cases(const Selection& selection) {
    return !select(selection, ~0U).empty();
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
