#include "vmm/cli/tune_options.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <array>

#include "vmm/cli/disk_option.h"

namespace exo::vmm {
namespace {

constexpr char see_help[] = "See vmm tune --help.";
constexpr unsigned most_rounds = 100;

/// What is tuned is not given.
Result<void> check_disk(const std::string& text) {
    if (text.empty()) return {};
    const auto disk = parse_disk(text);
    if (!disk) return std::unexpected(disk.error());
    if (disk->poll || disk->queues != 0)
        return fail(fmt::format("cannot tune --disk {}", text), "poll and queues are what is looked for",
                    "Leave them out.");
    return {};
}

}  // namespace

CLI::App* add_tune(CLI::App& app, TuneText& text) {
    CLI::App* tune = app.add_subcommand(
        "tune", "Measure every way to wait for a disk on this host, and tell which suits what load");
    tune->footer(
        "Boots guests, each for some seconds, on a machine that should do nothing else meanwhile; about 5 "
        "minutes,\n"
        "with --quick 1. What is compared is p50 latency + price x CPU time an operation, for prices of 0.1, "
        "1\nand 10. tools/tune-chart draws what --json keeps.");
    tune->add_option("--kernel", text.kernel, "The guest's exo.efi (the one that was built with this vmm)")
        ->type_name("FILE");
    tune->add_option("--disk", text.disk,
                     "A disk as for vmm run, which is only read (one in memory, whose own time is next to "
                     "nothing: what is measured then is the waiting)")
        ->type_name("FILE[,type=virtio][,direct]");
    tune->add_option("--rw", text.pattern,
                     "randread, read, or with --destroy-data randwrite, write or mixed (randread)")
        ->type_name("PATTERN");
    tune->add_flag("--destroy-data", text.destroy_data, "The disk given may be overwritten");
    tune->add_option("--rounds", text.rounds, "How often each load is measured, 1 to 100 (3)")
        ->type_name("N")
        ->check(CLI::Range(1u, most_rounds));
    tune->add_flag("--quick", text.quick, "Two loads only");
    tune->add_option("--json", text.json, "Write all figures there")->type_name("FILE.json");
    tune->add_flag("--anyway", text.anyway, "Also on an emulated processor, whose time means nothing");
    return tune;
}

Result<Command> understand(const TuneText& text) {
    constexpr std::array<std::string_view, 5> patterns = {"randread", "randwrite", "read", "write", "mixed"};
    if (std::ranges::find(patterns, text.pattern) == patterns.end())
        return fail("cannot use --rw", fmt::format("there is no pattern '{}'", text.pattern), see_help);
    if (auto suits = check_disk(text.disk); !suits) return std::unexpected(suits.error());
    TuneOptions options{.kernel = text.kernel,
                        .disk = text.disk,
                        .operations = {.pattern = text.pattern},
                        .rounds = text.rounds,
                        .quick = text.quick,
                        .anyway = text.anyway,
                        .json = text.json};
    if (options.operations.writes() && !text.disk.empty() && !text.destroy_data)
        return fail(fmt::format("cannot write to {}", text.disk), "that overwrites what is on it",
                    "Add --destroy-data if that is meant.");
    return options;
}

}  // namespace exo::vmm
