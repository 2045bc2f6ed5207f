#include "guest/apps/blk.h"

#include <charconv>

#include "guest/drivers/block/adaptive_queue.h"
#include "guest/kernel/json.h"

namespace exo::guest {
namespace blk {
namespace {

struct Part {
    std::string_view name;
    unsigned (*run)(Arguments arguments, CommandConsole& console);
};
constexpr Part parts[] = {
    {"list", list}, {"mode", mode}, {"stats", stats}, {"bench", bench}, {"trace", trace}};

unsigned run(Arguments arguments, CommandConsole& console) {
    if (arguments.empty() || arguments.front().starts_with("--")) return list(arguments, console);
    for (const Part& part : parts)
        if (part.name == arguments.front()) return part.run(arguments.subspan(1), console);
    return bad_usage(console, command, "there is no \"{}\"", arguments.front());
}

/// What all queues of a disk have counted.
struct Sum {
    BlockQueueCounters counters;
    std::uint64_t interrupts = 0;
    std::uint64_t switches = 0;
    IoMode now = IoMode::interrupt;  ///< of the first queue
    bool has_interrupt = false;

    explicit Sum(BlockDevice& device) {
        for (unsigned i = 0; i < device.queue_count(); ++i) {
            const AdaptiveQueue::Report report = device.adaptive_queue(i).report();
            counters.completed += report.counters.completed;
            counters.failed += report.counters.failed;
            counters.doorbells += report.counters.doorbells;
            counters.sleeps += report.counters.sleeps;
            interrupts += report.interrupts;
            switches += report.switches;
            if (i == 0) now = report.plan.mode;
            has_interrupt = has_interrupt || report.has_interrupt;
        }
    }
};

std::string_view setting_of(const BlockDevice& device) {
    return device.mode() ? describe(*device.mode()) : "adaptive";
}

}  // namespace

unsigned list(Arguments arguments, CommandConsole& console) {
    bool json = false;
    const CommandOption known[] = {{"--json", &json}};
    if (!parse_arguments(arguments, known, {}, command, console)) return status::bad_usage;
    if (!json)
        format(console, "{:<7}{:<12}{:>6}  {:<11}{:<11}{:>10}{:>8}{:>11}{:>11}{:>10}\n", "NAME", "DRIVER",
               "QUEUES", "MODE", "NOW", "REQUESTS", "FAILED", "DOORBELLS", "INTERRUPTS", "SWITCHES");
    for (Disk& disk : disk_registry().disks()) {
        BlockDevice& device = *disk.device;
        const Sum sum(device);
        if (json)
            JsonLine(console)
                .text("disk", disk.name())
                .text("driver", device.info().driver)
                .number("queues", device.queue_count())
                .text("mode", setting_of(device))
                .text("now", describe(sum.now))
                .boolean("has_interrupt", sum.has_interrupt)
                .number("requests", sum.counters.completed)
                .number("failed", sum.counters.failed)
                .number("doorbells", sum.counters.doorbells)
                .number("interrupts", sum.interrupts)
                .number("sleeps", sum.counters.sleeps)
                .number("switches", sum.switches);
        else
            format(console, "{:<7}{:<12}{:>6}  {:<11}{:<11}{:>10}{:>8}{:>11}{:>11}{:>10}\n", disk.name(),
                   device.info().driver, device.queue_count(), setting_of(device), describe(sum.now),
                   sum.counters.completed, sum.counters.failed, sum.counters.doorbells, sum.interrupts,
                   sum.switches);
    }
    return status::ok;
}

unsigned mode(Arguments arguments, CommandConsole& console) {
    std::string_view name;
    std::string_view wish;
    std::string_view price;
    const CommandOption known[] = {{"--price", nullptr, &price}};
    std::string_view* const rest[] = {&name, &wish};
    if (!parse_arguments(arguments, known, rest, command, console)) return status::bad_usage;
    const auto fixed = io_mode_named(wish);
    if (!fixed && wish != "adaptive")
        return bad_usage(console, command,
                         "a mode is interrupt, polling, hybrid, batch or adaptive, not \"{}\"", wish);
    const auto thousandths = parse_number(price);
    if (!price.empty() && (!thousandths || *thousandths > 1'000'000))
        return bad_usage(console, command, "--price is a number up to 1000000, not \"{}\"", price);
    Disk* const disk = find(name, console);
    if (disk == nullptr) return status::failure;
    if (!disk->device->set_mode(fixed)) {
        format(console, "blk: {}: no {} mode: {}\n", disk->name(), wish,
               disk->device->allows(std::nullopt) ? "this disk has interrupt and polling only"
                                                  : "adaptive drivers are off");
        return status::failure;
    }
    if (thousandths && !price.empty())
        disk->device->set_price({.thousandths = static_cast<std::uint32_t>(*thousandths)});
    return status::ok;
}

Disk* find(std::string_view name, CommandConsole& console) {
    Disk* const disk = name.empty() ? disk_registry().first() : disk_registry().find(name);
    if (disk != nullptr) return disk;
    if (name.empty())
        console.write("blk: there is no disk of data; give the machine one\n");
    else
        format(console, "blk: there is no disk \"{}\"; `blk` lists them\n", name);
    return nullptr;
}

std::expected<DiskAndJson, unsigned> parse_disk_and_json(Arguments arguments, CommandConsole& console) {
    bool json = false;
    std::string_view name;
    const CommandOption known[] = {{"--json", &json}};
    std::string_view* const rest[] = {&name};
    if (!parse_arguments(arguments, known, rest, command, console)) return std::unexpected(status::bad_usage);
    Disk* const disk = find(name, console);
    if (disk == nullptr) return std::unexpected(status::failure);
    return DiskAndJson{disk, json};
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || text.empty()) return std::nullopt;
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    unsigned shift = 0;
    if (unit == "k" || unit == "K") shift = 10;
    if (unit == "m" || unit == "M") shift = 20;
    if (unit == "g" || unit == "G") shift = 30;
    if ((shift == 0 && !unit.empty()) || value > ~std::uint64_t{0} >> shift) return std::nullopt;
    return value << shift;
}

void format_value(TextSink& sink, const Ratio& ratio) {
    const std::uint64_t thousandths = ratio.of == 0 ? 0 : ratio.part * 1000 / ratio.of;
    format(sink, "{}.{:03}", thousandths / 1000, thousandths % 1000);
}

constexpr Command command{
    "blk", "[list|mode|stats|bench|trace] [disk] [options]",
    "see and choose how disks are waited for, put a load on one", run,
    "blk [list] [--json]                 the disks, how they are waited for, and what they have counted\n"
    "blk mode DISK MODE [--price N]      interrupt, polling, hybrid, batch, or adaptive: then a controller\n"
    "                                    chooses. N is what a nanosecond of CPU is worth in thousandths of "
    "a\n"
    "                                    nanosecond of latency (1000)\n"
    "blk stats [DISK] [--json]           for each queue: what each mode did, and what the controller knows\n"
    "blk bench [DISK] [options] [--json] a load, and what came of it:\n"
    "    --rw PATTERN   randread, randwrite, read, write, or mixed: 70 % random reads (randread)\n"
    "    --bs SIZE      bytes of a request (4k)        --depth N    requests under way in each job (1)\n"
    "    --jobs N       threads (1)                    --rate N     operations a second of all (no limit)\n"
    "    --time S       seconds (2 without --count)    --count N    operations of all\n"
    "    --verify       what is read is what was written; in the end all that was written is read again\n"
    "    --seed N       another choice of sectors      --destroy-data  needed for patterns that write\n"
    "blk trace [DISK] [--json]           the latest timed requests, step by step; --json is for "
    "ui.perfetto.dev\n"};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

}  // namespace blk
}  // namespace exo::guest
