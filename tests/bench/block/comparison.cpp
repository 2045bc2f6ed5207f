#include "tests/bench/block/comparison.h"

#include <fmt/format.h>

#include <cstdio>
#include <list>

#include "guest/drivers/block/adaptive_queue.h"

namespace exo::bench {
namespace {

/// The best static mode's cost by that of the controller which was given the price.
double ratio_at(std::size_t price, const Contestants& contestants) {
    double best = 0;
    double adaptive = 1;
    for (const Contestant& who : contestants) {
        const double cost = who.cost(prices[price]);
        if (who.way->is_static() && (best == 0 || cost < best)) best = cost;
        if (who.way->price == price) adaptive = cost;
    }
    return best / adaptive;
}

template <class Figure>
std::vector<double> of_rounds(const Contestant& who, Figure figure) {
    std::vector<double> values;
    for (const LoadResult& round : who.rounds) values.push_back(figure(round));
    return values;
}

}  // namespace

void report_case(Reporter& lines, const std::string& name, const char* unit, const Contestants& contestants,
                 const Values& values) {
    std::list<Case> cases;
    CaseResult result;
    for (std::size_t at = 0; at < contestants.size(); ++at) {
        std::vector<MilliTicks> samples;
        for (const double value : values(at)) samples.push_back(static_cast<MilliTicks>(value * 1e3));
        if (samples.empty()) continue;
        const WayToWait& way = *contestants[at].way;
        cases.push_back({"block", name.c_str(), way.name, unit, nullptr, way.side, 2});
        result.variants.push_back({&cases.back(), Distribution::of(samples), std::nullopt});
    }
    lines.add(result);
}

void report_point(Reporter& lines, const std::string& name, const Contestants& contestants) {
    report_case(lines, name + "/latency", "ns from submission to the waiter", contestants,
                [&](std::size_t at) {
                    const LoadResult all = contestants[at].all();
                    return std::vector<double>(all.latencies.begin(), all.latencies.end());
                });
    report_case(lines, name + "/guest-cpu", "ns of CPU an operation", contestants, [&](std::size_t at) {
        return of_rounds(contestants[at], [](const LoadResult& round) { return round.guest_cpu(); });
    });
    report_case(lines, name + "/device-cpu", "ns of CPU an operation", contestants, [&](std::size_t at) {
        return of_rounds(contestants[at], [](const LoadResult& round) { return round.device_cpu(); });
    });
    for (std::size_t i = 0; i < prices.size(); ++i) {
        report_case(lines, fmt::format("{}/price-{}", name, prices[i]), "ns: p50 + price x CPU", contestants,
                    [&](std::size_t at) {
                        if (!contestants[at].way->is_for(i)) return std::vector<double>();
                        return of_rounds(contestants[at],
                                         [&](const LoadResult& round) { return round.cost(prices[i]); });
                    });
    }
}

void print_heading(const std::string& disk) {
    fmt::print(
        "\nblock {}: p50 / CPU of guest + device, us an operation; last, the best static mode's cost by "
        "adaptive's, for each price\n  {:>8}{:>3}",
        disk, "rate", "at");
    for (const WayToWait& way : ways_to_wait()) {
        if (way.is_for(1)) fmt::print("{:>18}", way.name);
    }
    for (const double price : prices) fmt::print("{:>7}", price);
    fmt::print("\n");
    std::fflush(stdout);
}

void print_controllers(const Contestants& contestants) {
    for (const Contestant& who : contestants) {
        if (!who.way->price) continue;
        const auto seen = who.machine->disk().adaptive_queue(0).report();
        fmt::print(
            "    {}: {}, polls {} ns, batch {}, {} switches; {}/s at {}, D {} ns, late by interrupt {} or "
            "polling {} "
            "ns, CPU {} or {} ns\n",
            who.way->name, guest::describe(seen.plan.mode), seen.plan.poll_budget_ns, seen.plan.batch,
            seen.switches, seen.seen.rate, seen.seen.depth, seen.service_ns, seen.seen.interrupt_overhead_ns,
            seen.seen.polling_overhead_ns, seen.seen.interrupt_cpu_ns, seen.seen.polling_cpu_ns);
    }
    std::fflush(stdout);
}

void print_row(const LoadShape& shape, const Contestants& contestants) {
    fmt::print("  {:>8.0f}{:>3}", shape.rate, shape.depth);
    for (const Contestant& who : contestants) {
        if (!who.way->is_for(1)) continue;
        const LoadResult all = who.all();
        fmt::print("{:>18}", fmt::format("{:.1f}/{:.1f}+{:.1f}", all.latency_ns(500) / 1e3,
                                         all.guest_cpu() / 1e3, all.device_cpu() / 1e3));
    }
    for (std::size_t i = 0; i < prices.size(); ++i) fmt::print("{:>7.2f}", ratio_at(i, contestants));
    fmt::print("\n");
    std::fflush(stdout);
}

}  // namespace exo::bench
