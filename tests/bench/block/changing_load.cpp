#include "tests/bench/block/changing_load.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "tests/bench/block/comparison.h"

namespace exo::bench {
namespace {

using namespace std::chrono_literals;

constexpr unsigned rounds = 2;
constexpr std::uint64_t phase_ns = 150 * guest::ns_per_ms;

struct Phase {
    std::chrono::nanoseconds delay;
    double rate;
};
constexpr std::array<Phase, 6> phases = {
    {{5us, 30'000}, {1ms, 400}, {50us, 5'000}, {5us, 300}, {10us, 200'000}, {100us, 2'000}}};

LoadResult run_phase(const Contestant& who, const Phase& phase) {
    who.machine->set_delay(phase.delay);
    return who.load->run(shape_for(phase.rate, phase.delay), phase_ns);
}

using Costs = std::array<double, prices.size()>;

/// Mean over the phases, of all rounds but the first.
Costs costs_of(const Contestant& who, bool& ok) {
    Costs sum{};
    for (unsigned round = 0; round <= rounds; ++round) {
        for (const Phase& phase : phases) {
            const LoadResult result = run_phase(who, phase);
            ok = ok && result.ok;
            for (std::size_t i = 0; i < prices.size() && round > 0; ++i)
                sum[i] += result.cost(prices[i]) / (rounds * phases.size());
        }
    }
    return sum;
}

void print_costs(const Contestants& contestants, const std::vector<Costs>& costs) {
    fmt::print("\nblock varying: mean over six phases of p50 + price x CPU, us\n  {:<14}", "");
    for (const double price : prices) fmt::print("{:>12}", fmt::format("price {}", price));
    fmt::print("\n");
    for (std::size_t at = 0; at < contestants.size(); ++at) {
        fmt::print("  {:<14}", contestants[at].way->name);
        for (std::size_t i = 0; i < prices.size(); ++i) {
            const bool takes_part = contestants[at].way->is_for(i);
            fmt::print("{:>12}", takes_part ? fmt::format("{:.2f}", costs[at][i] / 1e3) : "");
        }
        fmt::print("\n");
    }
    std::fflush(stdout);
}

std::expected<void, std::string> run_sequential(const DiskKind& disk, const LoadShape& shape, int device_cpu,
                                                Reporter& lines) {
    HostedTime time;
    auto contestants = make_contestants(disk, device_cpu, time);
    if (!contestants) return std::unexpected(contestants.error().message());
    for (unsigned round = 0; round <= rounds; ++round) {
        for (Contestant& who : *contestants) {
            if (who.way->is_for(1)) who.rounds.push_back(who.load->run(shape, phase_ns));
            if (round == 0) who.rounds.clear();
        }
    }
    const std::string many =
        fmt::format("{}{}", shape.depth, shape.depth > 1 && shape.singly ? " one by one" : "");
    fmt::print("\nblock sequential {}: reads of 512 bytes, {} under way: ns of one\n", disk.name, many);
    for (const Contestant& who : *contestants) {
        if (who.rounds.empty()) continue;
        const LoadResult all = who.all();
        if (!all.ok) return std::unexpected("sequential: requests failed");
        fmt::print("  {:<14}{:>10.0f}\n", who.way->name,
                   static_cast<double>(all.elapsed_ns) / all.operations());
    }
    std::fflush(stdout);
    report_case(lines, fmt::format("sequential/{}/{}", disk.name, many), "ns a read of 512 bytes",
                *contestants, [&](std::size_t at) {
                    std::vector<double> values;
                    for (const LoadResult& round : (*contestants)[at].rounds)
                        values.push_back(static_cast<double>(round.elapsed_ns) / round.operations());
                    return values;
                });
    return {};
}

}  // namespace

std::expected<void, std::string> run_varying_load(int device_cpu, Reporter& lines) {
    HostedTime time;
    auto contestants = make_contestants({"varying", phases[0].delay}, device_cpu, time);
    if (!contestants) return std::unexpected(contestants.error().message());
    std::vector<Costs> costs;
    bool ok = true;
    for (const Contestant& who : *contestants) costs.push_back(costs_of(who, ok));
    if (!ok) return std::unexpected("varying: requests failed");
    print_costs(*contestants, costs);
    for (std::size_t i = 0; i < prices.size(); ++i) {
        report_case(lines, fmt::format("varying/price-{}", prices[i]), "ns: mean of p50 + price x CPU",
                    *contestants, [&](std::size_t at) {
                        return (*contestants)[at].way->is_for(i) ? std::vector<double>{costs[at][i]}
                                                                 : std::vector<double>();
                    });
    }
    return {};
}

std::expected<void, std::string> run_sequential_load(int device_cpu, Reporter& lines) {
    for (const DiskKind& disk : {DiskKind{"memory-10us", 10us}, DiskKind{"file-io_uring", 0us, true}}) {
        for (const auto& [depth, singly] :
             {std::pair{1u, true}, {BlockLoad::most_depth, false}, {BlockLoad::most_depth, true}}) {
            const LoadShape shape = {.rate = 1e9,
                                     .depth = depth,
                                     .bytes = guest::sector_size,
                                     .sequential = true,
                                     .singly = singly};
            if (const auto done = run_sequential(disk, shape, device_cpu, lines); !done) return done;
        }
    }
    return {};
}

std::expected<sim::BlockTrace, std::string> record_varying_load(int device_cpu) {
    HostedTime time;
    auto contestants = make_contestants({"varying", phases[0].delay}, device_cpu, time);
    if (!contestants) return std::unexpected(contestants.error().message());
    sim::BlockTrace trace;
    for (const Contestant& who : *contestants) {
        if (who.way->price != 1) continue;
        who.load->record(&trace);
        for (const Phase& phase : phases) run_phase(who, phase);
        who.load->record(nullptr);
    }
    return trace;
}

}  // namespace exo::bench
