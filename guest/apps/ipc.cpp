#include <string_view>

#include "guest/ipc/channel_timing.h"
#include "guest/kernel/command.h"
#include "guest/kernel/json.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{"ipc", "[--json]", "measure channels between two threads", run,
                          "Round trips and a stream of 8-byte messages, by fusion rings and by mutex and "
                          "deque, in turn. CYCLES are "
                          "ticks of\nthe time-stamp counter a message (or round trip), the least of the "
                          "rounds; switches and wake-ups "
                          "are of all CPUs.\nBoot with cpus=1 for both threads on one CPU. In an emulator "
                          "only the counts mean anything.\n"};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

constexpr std::uint64_t round_trips = 500;
constexpr std::uint64_t stream = 5'000;
constexpr unsigned rounds = 5;

struct Row {
    std::string_view pattern;
    std::string_view variant;
    Result<ChannelTiming> (*time)(Scheduler& scheduler, std::uint64_t count);
    std::uint64_t count;
    ChannelTiming best = {};
};

/// A number of hundredths.
void print_hundredths(TextSink& sink, std::uint64_t part, std::uint64_t of) {
    const std::uint64_t hundredths = part * 100 / of;
    FixedText<24> text;
    format(text, "{}.{:02}", hundredths / 100, hundredths % 100);
    format(sink, "{:>12}", text.view());
}

void print(const Row& row, unsigned cpus, bool json, CommandConsole& console) {
    const ChannelTiming& best = row.best;
    if (json) {
        JsonLine(console)
            .text("pattern", row.pattern)
            .text("variant", row.variant)
            .number("cpus", cpus)
            .number("messages", best.messages)
            .number("cycles", best.cycles)
            .number("switches", best.switches)
            .number("wake_ups", best.wake_ups);
        return;
    }
    format(console, "{:<12}{:<10}{:>10,}", row.pattern, row.variant, best.cycles / best.messages);
    print_hundredths(console, best.switches, best.messages);
    print_hundredths(console, best.wake_ups, best.messages);
    console.write("\n");
}

unsigned run(Arguments arguments, CommandConsole& console) {
    bool json = false;
    const CommandOption known[] = {{"--json", &json}};
    if (!parse_arguments(arguments, known, {}, command, console)) return status::bad_usage;
    const Thread* const self = Thread::current();
    if (self == nullptr) {
        console.write("ipc: no threads run here\n");
        return status::failure;
    }
    Scheduler& scheduler = self->scheduler();
    Row rows[] = {{"round trip", FusionCore<int>::name, time_round_trips<FusionCore>, round_trips},
                  {"round trip", ClassicCore<int>::name, time_round_trips<ClassicCore>, round_trips},
                  {"stream", FusionCore<int>::name, time_stream<FusionCore>, stream},
                  {"stream", ClassicCore<int>::name, time_stream<ClassicCore>, stream}};
    for (unsigned round = 0; round < rounds; ++round) {
        for (Row& row : rows) {
            const Result<ChannelTiming> timing = row.time(scheduler, row.count);
            if (!timing) {
                format(console, "ipc: {}: {}\n", timing.error().what, timing.error().why);
                return status::failure;
            }
            if (!timing->verified) {
                format(console, "ipc: {} {}: what arrived is not what was sent\n", row.pattern, row.variant);
                return status::failure;
            }
            if (row.best.cycles == 0 || timing->cycles < row.best.cycles) row.best = *timing;
        }
    }
    if (!json) {
        format(console, "{} CPUs; channels are {}\n", scheduler.cpu_count(), ChannelCore<int>::name);
        format(console, "{:<12}{:<10}{:>10}{:>12}{:>12}\n", "", "", "CYCLES", "SWITCHES", "WAKE-UPS");
    }
    for (const Row& row : rows) print(row, scheduler.cpu_count(), json, console);
    return status::ok;
}

}  // namespace
}  // namespace exo::guest
