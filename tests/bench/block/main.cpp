// exo_block_bench: the driver and the device of a disk in two threads of one process, and their parts alone.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <optional>

#include "tests/bench/block/changing_load.h"
#include "tests/bench/block/sweep.h"
#include "tests/bench/block/two_cpus.h"
#include "tests/bench/frame/tsc.h"
#include "tests/bench/hosted/platform.h"
#include "tests/bench/hosted/report.h"
#include "tests/bench/hosted/runner.h"

namespace exo::bench {
namespace {

using Done = std::expected<void, std::string>;

struct Options {
    SweepOptions sweep;
    Selection parts;
    std::string json;
    std::string record;
};

Done record(const std::string& path, int device_cpu) {
    const auto trace = record_varying_load(device_cpu);
    if (!trace) return std::unexpected(trace.error());
    std::ofstream file(path);
    sim::write_block_trace(file, *trace);
    if (!file.flush()) return std::unexpected("cannot write " + path);
    fmt::print("{} requests in {}\n", trace->size(), path);
    return {};
}

/// Runs what the filter names: whether there was anything.
std::expected<bool, std::string> run_loads(const Options& options, Reporter& lines) {
    const auto wanted = [&](const char* name) {
        return std::string(name).find(options.sweep.case_filter) != std::string::npos;
    };
    auto any = run_sweep(options.sweep, lines);
    struct Load {
        const char* name;
        Done (*run)(int device_cpu, Reporter& lines);
    };
    for (const auto& [name, run] :
         {Load{"varying", run_varying_load}, Load{"sequential", run_sequential_load}}) {
        if (!any || !wanted(name)) continue;
        const auto done = run(options.sweep.device_cpu, lines);
        any = done ? std::expected<bool, std::string>(true) : std::unexpected(done.error());
    }
    return any;
}

Done run_all(Options& options, Reporter& lines) {
    bool any = has_cases(options.parts);
    if (any) {
        TableReporter table;
        AllReporters both;
        both.include(table);
        both.include(lines);
        if (const auto ran = run_cases(options.parts, both); !ran) return ran;
    }
    const double load = load_average();
    const std::uint64_t core_cycles = core_cycles_per_1000_ticks();
    const TwoCpus cpus;
    if (!cpus.are_there())
        return std::unexpected("two CPUs are needed: one for the driver, one for the device");
    options.sweep.device_cpu = cpus.second();
    if (!options.record.empty()) return record(options.record, cpus.second());
    lines.begin({describe_processor() + ", Linux process, driver and device pinned to a CPU each",
                 core_cycles, load});
    const auto loads = run_loads(options, lines);
    if (!loads) return std::unexpected(loads.error());
    if (!any && !*loads)
        return std::unexpected("no case has '" + options.sweep.case_filter + "' in its name");
    return {};
}

}  // namespace
}  // namespace exo::bench

int main(int argc, char** argv) {
    using namespace exo::bench;
    CLI::App app("Measures driver and device of a disk, in all ways to wait, beside their peers.");
    Options options;
    std::string suite;
    options.parts.rounds = 31;
    app.add_option("suite", suite, "block")->check(CLI::IsMember({"block"}));
    app.add_option("--case", options.sweep.case_filter, "only cases whose name contains this");
    app.add_option("--rounds", options.parts.rounds, "how often the parts are measured")
        ->check(CLI::Range(1, 100'000));
    app.add_option("--json", options.json, "file for the JSON lines, one a variant");
    app.add_option("--record", options.record,
                   "file for a trace of the changing load, for tools/replay; nothing else runs");
    app.add_flag("--quick", options.sweep.quick, "two disks, two rates, fewer rounds");
    app.add_flag("--explain", options.sweep.explain, "print what the controllers have seen and chosen");
    CLI11_PARSE(app, argc, argv);
    options.parts.case_filter =
        options.record.empty() ? options.sweep.case_filter : "none when a trace is recorded";
    if (options.sweep.quick) options.parts.rounds = std::min(options.parts.rounds, 3);

    AllReporters files;
    std::optional<JsonReporter> lines;
    if (!options.json.empty()) files.include(lines.emplace(options.json));
    if (const auto done = run_all(options, files); !done) {
        fmt::print(stderr, "exo_block_bench: {}\n", done.error());
        return 1;
    }
    if (lines && !lines->good()) {
        fmt::print(stderr, "exo_block_bench: cannot write {}\n", options.json);
        return 1;
    }
}
