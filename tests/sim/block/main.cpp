// block_replay: sends a recorded block trace through policies, and says what each would have cost.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/sim/block/replay.h"

namespace exo::sim {
namespace {

struct Request {
    std::string trace;
    std::vector<std::string> policies;
    std::vector<double> prices = {0.1, 1, 10};
    ReplayCosts costs;
    bool json = false;
};

double in_us(double ns) {
    return ns / 1e3;
}

void print_heading(double price, std::size_t requests) {
    fmt::print(
        "\n{} requests, a nanosecond of CPU worth {} of latency\n  "
        "{:<12}{:>10}{:>10}{:>12}{:>14}{:>10}{:>12}\n",
        requests, price, "", "p50 us", "p99 us", "CPU us/op", "interrupts/op", "switches", "cost us");
}

void print_row(const std::string& policy, const ReplayResult& result, guest::CpuPrice price) {
    const auto count = static_cast<double>(result.latencies.size());
    fmt::print("  {:<12}{:>10.2f}{:>10.2f}{:>12.2f}{:>14.3f}{:>10}{:>12.2f}\n", policy,
               in_us(static_cast<double>(result.median_ns())),
               in_us(static_cast<double>(result.quantile_ns(990))), in_us(result.cpu_per_operation_ns()),
               static_cast<double>(result.interrupts) / count, result.switches, in_us(result.cost(price)));
}

void print_line(const std::string& policy, const ReplayResult& result, double price, guest::CpuPrice exact) {
    const nlohmann::ordered_json line = {
        {"policy", policy},
        {"price", price},
        {"requests", result.latencies.size()},
        {"p50_ns", result.median_ns()},
        {"p99_ns", result.quantile_ns(990)},
        {"cpu_ns_per_operation", result.cpu_per_operation_ns()},
        {"spin_ns", result.spin_ns},
        {"interrupts", result.interrupts},
        {"switches", result.switches},
        {"cost_ns", result.cost(exact)},
    };
    fmt::print("{}\n", line.dump());
}

void replay_all(const Request& request, const BlockTrace& trace) {
    for (const double price : request.prices) {
        const guest::CpuPrice exact{static_cast<std::uint32_t>(std::lround(price * 1'000))};
        if (!request.json) print_heading(price, trace.size());
        for (const std::string& name : request.policies) {
            const auto policy = policy_named(name, exact);
            const ReplayResult result = replay(trace, *policy, request.costs);
            request.json ? print_line(name, result, price, exact) : print_row(name, result, exact);
        }
    }
}

}  // namespace
}  // namespace exo::sim

int main(int argc, char** argv) {
    using namespace exo::sim;
    Request request;
    for (const std::string_view name : policy_names()) request.policies.emplace_back(name);
    CLI::App app("Sends a recorded block trace through policies, and says what each would have cost.");
    app.add_option("trace", request.trace, "JSON lines with submit_ns, service_ns and perhaps urgent")
        ->required();
    app.add_option("--policy", request.policies, "policies (default: all)")
        ->check(CLI::IsMember(policy_names()));
    app.add_option("--price", request.prices, "what a nanosecond of CPU is worth in nanoseconds of latency")
        ->check(CLI::Range(0.0, 1e6))
        ->delimiter(',');
    app.add_option("--operation-cpu", request.costs.operation_cpu, "ns to hand a request over and reap it");
    app.add_option("--interrupt-cpu", request.costs.interrupt_cpu, "ns of one interrupt and its wake-up");
    app.add_option("--interrupt-latency", request.costs.interrupt_latency,
                   "ns from the end to the waiter, by interrupt");
    app.add_option("--poll-latency", request.costs.poll_latency, "ns from the end to the waiter, by polling");
    app.add_flag("--json", request.json, "JSON lines, one a policy and price");
    CLI11_PARSE(app, argc, argv);

    std::ifstream file(request.trace);
    if (!file) {
        fmt::print(stderr, "block_replay: cannot open {}\n", request.trace);
        return 1;
    }
    const auto trace = read_block_trace(file);
    if (!trace) {
        fmt::print(stderr, "block_replay: {}: {}\n", request.trace, trace.error());
        return 1;
    }
    replay_all(request, *trace);
}
