#include <algorithm>
#include <limits>

#include "guest/apps/blk.h"
#include "guest/drivers/block/disk_load.h"
#include "guest/kernel/json.h"
#include "guest/kernel/services.h"

namespace exo::guest::blk {
namespace {

constexpr std::uint64_t usual_time_ns = 2 * ns_per_s;

/// The options of a load as they were typed.
struct Options {
    bool json = false;
    bool destroy = false;
    bool verify = false;
    std::string_view disk, pattern, block, depth, jobs, rate, time, count, seed;
};

/// Reads a number if it was given; false, with the reason printed, when it is none.
template <typename Number>
bool read_number(std::string_view name, std::string_view text, Number& value, CommandConsole& console) {
    if (text.empty()) return true;
    const auto number = parse_number(text);
    if (number && *number <= std::numeric_limits<Number>::max()) {
        value = static_cast<Number>(*number);
        return true;
    }
    bad_usage(console, command, "{} is a number, not \"{}\"", name, text);
    return false;
}

std::optional<DiskLoad> read_load(const Options& given, CommandConsole& console) {
    DiskLoad load;
    load.verify = given.verify;
    bool known = given.pattern.empty();
    for (unsigned number = 0; number < io_pattern_count; ++number) {
        const auto pattern = static_cast<IoPattern>(number);
        if (describe(pattern) != given.pattern) continue;
        load.pattern = pattern;
        known = true;
    }
    if (!known) {
        bad_usage(console, command, "--rw is randread, randwrite, read, write or mixed, not \"{}\"",
                  given.pattern);
        return std::nullopt;
    }
    std::uint64_t seconds = 0;
    if (!read_number("--bs", given.block, load.block, console) ||
        !read_number("--depth", given.depth, load.depth, console) ||
        !read_number("--jobs", given.jobs, load.jobs, console) ||
        !read_number("--rate", given.rate, load.rate, console) ||
        !read_number("--count", given.count, load.count, console) ||
        !read_number("--seed", given.seed, load.seed, console) ||
        !read_number("--time", given.time, seconds, console))
        return std::nullopt;
    load.time_ns = std::min(seconds, std::uint64_t{86'400}) * ns_per_s;
    if (load.time_ns == 0 && load.count == 0) load.time_ns = usual_time_ns;
    return load;
}

std::string_view reason_against(const Disk& disk, const DiskLoad& load, const Options& given) {
    if (!writes(load.pattern)) return given.verify ? "--verify needs a pattern that writes" : "";
    if (disk.device->info().read_only) return "it is read-only";
    if (disk.boot) return "the machine was booted from it";
    return given.destroy ? "" : "this overwrites what is on it; add --destroy-data if that is meant";
}

std::uint64_t per_second(const DiskLoadResult& result) {
    const std::uint64_t us = std::max<std::uint64_t>(result.elapsed_ns / ns_per_us, 1);
    return result.operations * 1'000'000 / us;
}

/// Why a load ended too early; empty when it did not.
std::string_view reason_of(const DiskLoadResult& result) {
    if (result.mismatch) return "there is not what was written";
    if (result.error) return describe(*result.error);
    return result.interrupted ? "interrupted" : "";
}

void print_json(const Disk& disk, const DiskLoad& load, const DiskLoadResult& result,
                CommandConsole& console) {
    const auto mode = disk.device->mode();
    JsonLine(console)
        .text("disk", disk.name())
        .text("mode", mode ? describe(*mode) : "adaptive")
        .text("rw", describe(load.pattern))
        .number("bs", load.block)
        .number("depth", load.depth)
        .number("jobs", load.jobs)
        .number("rate", load.rate)
        .number("operations", result.operations)
        .number("reads", result.reads)
        .number("writes", result.writes)
        .number("verified", result.verified)
        .number("elapsed_ns", result.elapsed_ns)
        .number("iops", per_second(result))
        .number("bytes_per_second", per_second(result) * load.block)
        .number("cpu_ns", result.cpu_ns)
        .number("mean_ns", result.latency.mean())
        .number("p50_ns", result.latency.quantile(500))
        .number("p90_ns", result.latency.quantile(900))
        .number("p99_ns", result.latency.quantile(990))
        .number("p999_ns", result.latency.quantile(999))
        .number("max_ns", result.longest_ns)
        .number("doorbells", result.events.doorbells)
        .number("interrupts", result.events.interrupts)
        .number("sleeps", result.events.sleeps)
        .number("polls", result.events.polls)
        .number("switches", result.switches)
        .text("error", reason_of(result));
}

void print(const Disk& disk, const DiskLoad& load, const DiskLoadResult& result, CommandConsole& console) {
    const auto mode = disk.device->mode();
    const std::uint64_t operations = result.operations;
    format(console, "{}, {}: {} of {}, depth {}, {} job{}\n", disk.name(),
           mode ? describe(*mode) : "adaptive", describe(load.pattern), Bytes{load.block}, load.depth,
           load.jobs, load.jobs == 1 ? "" : "s");
    format(console, "  {} operations ({} reads, {} writes) in {}: {} a second, {}/s\n", operations,
           result.reads, result.writes, Duration{result.elapsed_ns}, per_second(result),
           Bytes{per_second(result) * load.block});
    format(console, "  latency     mean {}, 50% {}, 90% {}, 99% {}, 99.9% {}, longest {}\n",
           Duration{result.latency.mean()}, Duration{result.latency.quantile(500)},
           Duration{result.latency.quantile(900)}, Duration{result.latency.quantile(990)},
           Duration{result.latency.quantile(999)}, Duration{result.longest_ns});
    format(console,
           "  an operation {} CPU, {} doorbells, {} interrupts, {} sleeps, {} polls; {} changes of mode\n",
           Duration{operations == 0 ? 0 : result.cpu_ns / operations},
           Ratio{result.events.doorbells, operations}, Ratio{result.events.interrupts, operations},
           Ratio{result.events.sleeps, operations}, Ratio{result.events.polls, operations}, result.switches);
    if (load.verify) format(console, "  {} blocks read back as they were written\n", result.verified);
}

}  // namespace

unsigned bench(Arguments arguments, CommandConsole& console) {
    Options given;
    const CommandOption known[] = {{"--json", &given.json},          {"--destroy-data", &given.destroy},
                                   {"--verify", &given.verify},      {"--rw", nullptr, &given.pattern},
                                   {"--bs", nullptr, &given.block},  {"--depth", nullptr, &given.depth},
                                   {"--jobs", nullptr, &given.jobs}, {"--rate", nullptr, &given.rate},
                                   {"--time", nullptr, &given.time}, {"--count", nullptr, &given.count},
                                   {"--seed", nullptr, &given.seed}};
    std::string_view* const rest[] = {&given.disk};
    if (!parse_arguments(arguments, known, rest, command, console)) return status::bad_usage;
    const auto load = read_load(given, console);
    if (!load) return status::bad_usage;
    Disk* const disk = find(given.disk, console);
    if (disk == nullptr) return status::failure;
    if (const auto reason = reason_against(*disk, *load, given); !reason.empty()) {
        format(console, "blk: {}: {}\n", disk->name(), reason);
        return status::failure;
    }
    const auto go_on = [](void* context) { return !static_cast<CommandConsole*>(context)->interrupted(); };
    const auto result = run_disk_load(*disk->device, *load, services(), go_on, &console);
    if (!result) {
        format(console, "blk: {}: {}: {}\n", disk->name(), result.error().what, result.error().why);
        return status::failure;
    }
    (given.json ? print_json : print)(*disk, *load, *result, console);
    const std::string_view reason = reason_of(*result);
    if (result->error)
        format(console, "blk: {}: sector {}: {}\n", disk->name(), result->error_sector, reason);
    else if (!reason.empty())
        format(console, "blk: {}\n", reason);
    return reason.empty() ? status::ok : status::failure;
}

}  // namespace exo::guest::blk
