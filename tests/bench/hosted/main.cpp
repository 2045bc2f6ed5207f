// exo_bench: runs the registered cases in this process and writes what they gave as JSON lines and as a
// table.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>

#include "tests/bench/hosted/report.h"
#include "tests/bench/hosted/runner.h"
#include "tests/bench/sched/simulations.h"

int main(int argc, char** argv) {
    using namespace exo::bench;
    CLI::App app("Measures this project's parts beside their best peers, in one process.");
    Selection selection;
    std::string json;
    std::string markdown;
    app.add_option("suite", selection.suites, "suites to run (default: all)");
    app.add_option("--case", selection.case_filter, "only cases whose name contains this");
    app.add_option("--rounds", selection.rounds, "how often each variant is run")
        ->check(CLI::Range(1, 100'000));
    bool quick = false;
    app.add_flag("--quick", quick, "few rounds: to see that all of it works, not to quote from");
    app.add_option("--json", json, "file for the JSON lines, one a variant");
    app.add_option("--markdown", markdown, "file for a table of this project's variants, for a README");
    CLI11_PARSE(app, argc, argv);
    if (quick) selection.rounds = std::min(selection.rounds, 7);

    TableReporter table;
    AllReporters reporters;
    reporters.include(table);
    std::optional<JsonReporter> lines;
    if (!json.empty()) reporters.include(lines.emplace(json));

    std::optional<MarkdownReporter> page;
    if (!markdown.empty()) reporters.include(page.emplace(markdown));

    AllReporters files;
    if (lines) files.include(*lines);
    const bool wants_simulations =
        selection.suites.empty() || std::ranges::find(selection.suites, "sched") != selection.suites.end();
    const bool simulated = wants_simulations && run_simulations(selection.case_filter, files);
    if (!simulated || has_cases(selection)) {
        if (const auto ran = run_cases(selection, reporters); !ran) {
            fmt::print(stderr, "exo_bench: {}\n", ran.error());
            return 1;
        }
    }
    if (lines && !lines->good()) {
        fmt::print(stderr, "exo_bench: cannot write {}\n", json);
        return 1;
    }
    if (page && !page->good()) {
        fmt::print(stderr, "exo_bench: cannot write {}\n", markdown);
        return 1;
    }
}
