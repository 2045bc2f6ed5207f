#include <atomic>

#include "guest/kernel/command.h"
#include "guest/kernel/json.h"
#include "guest/sched/this_thread.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{
    "yields", "[--json]", "measure what it costs to yield to another thread", run,
    "Two threads on one CPU give it to each other, 21 times 2,000 yields each; the run "
    "queue, its lock and the\nclock are part of it. The median and the best of the runs, "
    "in TSC ticks a yield.\n"};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

constexpr unsigned runs = 21;
constexpr std::uint64_t yields = 2'000;

/// The other thread yields too until it is told to stop; on one CPU every yield is then a switch.
std::uint64_t measure_once(Scheduler& scheduler) {
    std::atomic<bool> stop = false;
    auto other = scheduler.spawn({.name = "yields"}, [&stop] {
        while (!stop.load(std::memory_order_relaxed)) this_thread::yield();
    });
    if (!other) return 0;
    this_thread::yield();
    const std::uint64_t start = arch::timestamp();
    for (std::uint64_t i = 0; i < yields; ++i) this_thread::yield();
    const std::uint64_t ticks = arch::timestamp() - start;
    stop = true;
    other->join();
    return ticks / (2 * yields);
}

unsigned run(Arguments arguments, CommandConsole& console) {
    bool json = false;
    const CommandOption known[] = {{"--json", &json}};
    if (!parse_arguments(arguments, known, {}, command, console)) return status::bad_usage;
    if (Thread::current() == nullptr || Thread::current()->scheduler().cpu_count() != 1) {
        console.write("yields: the threads have to share one CPU; start the kernel with cpus=1\n");
        return status::failure;
    }
    Scheduler& scheduler = Thread::current()->scheduler();
    std::array<std::uint64_t, runs> ticks;
    for (std::uint64_t& one : ticks) one = measure_once(scheduler);
    std::ranges::sort(ticks);
    if (ticks.front() == 0) {
        console.write("yields: there is no memory for a thread\n");
        return status::failure;
    }
    constexpr std::string_view form = EXO_WINDOWED_CONTEXT_SWITCH != 0 ? "windowed" : "classic";
    if (json) {
        JsonLine(console)
            .text("policy", name_of(scheduler.policy()))
            .text("switch", form)
            .number("median_ticks", ticks[runs / 2])
            .number("least_ticks", ticks[0])
            .number("ticks_per_second", arch::timestamp_frequency());
        return status::ok;
    }
    format(console, "{} TSC ticks a yield, {} at the least ({}, {} switch)\n", ticks[runs / 2], ticks[0],
           name_of(scheduler.policy()), form);
    return status::ok;
}

}  // namespace
}  // namespace exo::guest
