#include "tests/bench/hosted/report.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

namespace exo::bench {
namespace {

double ticks(MilliTicks value) {
    return static_cast<double>(value) / 1000;
}

double percent(std::uint64_t hundredths) {
    return static_cast<double>(hundredths) / 100;
}

double ratio_to(const VariantResult& peer, const VariantResult& own) {
    return static_cast<double>(peer.distribution.median) / static_cast<double>(own.distribution.median);
}

/// A figure of TSC cycles in cycles of the core; nothing for other units.
std::string in_core_cycles(const Platform& platform, const VariantResult& variant) {
    if (!std::string_view(variant.variant->unit).starts_with("TSC cycles")) return "";
    return fmt::format("{:.1f}", ticks(variant.distribution.median) *
                                     static_cast<double>(platform.core_cycles_per_1000_ticks) / 1000);
}

void print_case(const Platform& platform, const CaseResult& result) {
    const VariantResult* best_peer = result.best_peer();
    const Case& first = *result.variants[0].variant;
    fmt::print("\n{} {}, {}", first.suite, first.name, first.unit);
    if (result.round_trip_before != 0) {
        fmt::print("; bare line round trip {:.0f} before, {:.0f} after{}", ticks(result.round_trip_before),
                   ticks(result.round_trip_after), result.placement_moved() ? " (WARNING: it moved)" : "");
    }
    fmt::print("\n  {:<40}{:>9}{:>9}{:>9}{:>9}{:>9}{:>10}{:>6}{:>9}  {}\n", "", "min", "q1", "median", "q3",
               "p99", "max", "n", "core", "best peer's median by this");
    for (const VariantResult& variant : result.variants) {
        const Distribution& d = variant.distribution;
        fmt::print("  {:<40}{:>9.1f}{:>9.1f}{:>9.1f}{:>9.1f}{:>9.1f}{:>10.1f}{:>6}{:>9}",
                   variant.variant->variant, ticks(d.min), ticks(d.q1), ticks(d.median), ticks(d.q3),
                   ticks(d.p99), ticks(d.max), d.n, in_core_cycles(platform, variant));
        if (variant.variant->side == Side::own && best_peer != nullptr)
            fmt::print("  {:.2f} ({})", ratio_to(*best_peer, variant), best_peer->variant->variant);
        if (variant.least_hit_rate) fmt::print("  hits {:.2f}%", percent(*variant.least_hit_rate));
        fmt::print("\n");
    }
}

const char* name_of(Side side) {
    switch (side) {
        case Side::own:
            return "own";
        case Side::peer:
            return "peer";
        case Side::bound:
            return "bound";
    }
    return "";
}

nlohmann::ordered_json to_json(const Platform& platform, const CaseResult& group,
                               const VariantResult& variant) {
    const Distribution& d = variant.distribution;
    nlohmann::ordered_json line = {
        {"suite", variant.variant->suite},
        {"case", variant.variant->name},
        {"variant", variant.variant->variant},
        {"side", name_of(variant.variant->side)},
        {"unit", variant.variant->unit},
        {"n", d.n},
        {"min", ticks(d.min)},
        {"q1", ticks(d.q1)},
        {"median", ticks(d.median)},
        {"q3", ticks(d.q3)},
        {"p99", ticks(d.p99)},
        {"max", ticks(d.max)},
        {"platform", platform.name},
    };
    line["core_per_tsc"] = static_cast<double>(platform.core_cycles_per_1000_ticks) / 1000;
    line["load_average"] = platform.load_average;
    if (group.round_trip_before != 0) {
        line["line_round_trip"] = {ticks(group.round_trip_before), ticks(group.round_trip_after)};
        line["placement_moved"] = group.placement_moved();
    }
    const VariantResult* best_peer = group.best_peer();
    if (variant.variant->side == Side::own && best_peer != nullptr) {
        line["best_peer"] = best_peer->variant->variant;
        line["ratio"] = ratio_to(*best_peer, variant);
    }
    if (variant.least_hit_rate) line["least_hit_rate_percent"] = percent(*variant.least_hit_rate);
    return line;
}

}  // namespace

void TableReporter::begin(const Platform& platform) {
    platform_ = platform;
    fmt::print("{}\n{:.3f} core cycles a TSC cycle; load average {:.1f} when it began\n", platform.name,
               static_cast<double>(platform.core_cycles_per_1000_ticks) / 1000, platform.load_average);
}

void TableReporter::add(const CaseResult& result) {
    print_case(platform_, result);
    std::fflush(stdout);
}

void JsonReporter::add(const CaseResult& result) {
    for (const VariantResult& variant : result.variants)
        file_ << to_json(platform_, result, variant).dump() << '\n';
}

void MarkdownReporter::begin(const Platform& platform) {
    file_ << fmt::format(
        "{}; {:.3f} core cycles a TSC cycle; load average {:.1f}.\n\n"
        "| case | variant | min | q1 | median | q3 | p99 | max | n | best peer | its median | ratio | line "
        "|\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        platform.name, static_cast<double>(platform.core_cycles_per_1000_ticks) / 1000,
        platform.load_average);
}

void MarkdownReporter::add(const CaseResult& result) {
    const VariantResult* peer = result.best_peer();
    for (const VariantResult& variant : result.variants) {
        if (variant.variant->side != Side::own || peer == nullptr) continue;
        const Distribution& d = variant.distribution;
        file_ << fmt::format(
            "| {} | {} | {:.1f} | {:.1f} | {:.1f} | {:.1f} | {:.1f} | {:.1f} | {} | {} | {:.1f} | {:.2f} | "
            "{:.0f} |\n",
            variant.variant->name, variant.variant->variant, ticks(d.min), ticks(d.q1), ticks(d.median),
            ticks(d.q3), ticks(d.p99), ticks(d.max), d.n, peer->variant->variant,
            ticks(peer->distribution.median), ratio_to(*peer, variant), ticks(result.round_trip_before));
    }
}

}  // namespace exo::bench
