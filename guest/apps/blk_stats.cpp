#include "guest/apps/blk.h"
#include "guest/drivers/block/adaptive_queue.h"
#include "guest/kernel/json.h"

namespace exo::guest::blk {
namespace {

void print_json(const Disk& disk, unsigned queue, const AdaptiveQueue::Report& report,
                CommandConsole& console) {
    JsonLine(console)
        .text("disk", disk.name())
        .number("queue", queue)
        .text("plan", describe(report.plan.mode))
        .number("poll_budget_ns", report.plan.poll_budget_ns)
        .number("batch", report.plan.batch)
        .number("rate", report.seen.rate)
        .number("depth", report.seen.depth)
        .number("runnable", report.seen.runnable)
        .number("service_ns", report.service_ns)
        .number("told_together", report.seen.told_together)
        .number("interrupt_overhead_ns", report.seen.interrupt_overhead_ns)
        .number("polling_overhead_ns", report.seen.polling_overhead_ns)
        .number("interrupt_cpu_ns", report.seen.interrupt_cpu_ns)
        .number("polling_cpu_ns", report.seen.polling_cpu_ns)
        .number("switches", report.switches)
        .number("requests", report.counters.completed)
        .number("failed", report.counters.failed)
        .number("faults", report.counters.faults)
        .number("doorbells", report.counters.doorbells)
        .number("interrupts", report.interrupts)
        .number("sleeps", report.counters.sleeps);
    for (unsigned number = 0; number < io_mode_count; ++number) {
        const IoModeStatistics& mode = report.modes[number];
        JsonLine(console)
            .text("disk", disk.name())
            .number("queue", queue)
            .text("mode", describe(static_cast<IoMode>(number)))
            .number("operations", mode.operations)
            .number("time_ns", mode.time_ns)
            .number("interrupts", mode.interrupts)
            .number("doorbells", mode.doorbells)
            .number("sleeps", mode.sleeps)
            .number("polls", mode.polls)
            .number("p50_ns", mode.latency.quantile(500))
            .number("p90_ns", mode.latency.quantile(900))
            .number("p99_ns", mode.latency.quantile(990))
            .number("p999_ns", mode.latency.quantile(999));
    }
}

void print(unsigned queue, const AdaptiveQueue::Report& report, CommandConsole& console) {
    format(console, "queue {}: {}, {} changes; {} operations/s, {} under way, {} other threads\n", queue,
           describe(report.plan.mode), report.switches, report.seen.rate, report.seen.depth,
           report.seen.runnable);
    format(console, "  device {}; behind it {} by interrupt, {} by polling; CPU {} and {} an operation\n",
           Duration{report.service_ns}, Duration{report.seen.interrupt_overhead_ns},
           Duration{report.seen.polling_overhead_ns}, Duration{report.seen.interrupt_cpu_ns},
           Duration{report.seen.polling_cpu_ns});
    format(console, "  {:<10}{:>10}{:>12}{:>11}{:>10}{:>9}{:>11}{:>10}{:>10}{:>10}\n", "MODE", "OPERATIONS",
           "TIME", "INTERRUPTS", "DOORBELLS", "SLEEPS", "POLLS", "P50 ns", "P99 ns", "P99.9 ns");
    for (unsigned number = 0; number < io_mode_count; ++number) {
        const IoModeStatistics& mode = report.modes[number];
        FixedText<24> time;
        format(time, "{}", Duration{mode.time_ns});
        format(console, "  {:<10}{:>10}{:>12}{:>11}{:>10}{:>9}{:>11}{:>10}{:>10}{:>10}\n",
               describe(static_cast<IoMode>(number)), mode.operations, time.view(), mode.interrupts,
               mode.doorbells, mode.sleeps, mode.polls, mode.latency.quantile(500),
               mode.latency.quantile(990), mode.latency.quantile(999));
    }
}

}  // namespace

unsigned stats(Arguments arguments, CommandConsole& console) {
    const auto asked = parse_disk_and_json(arguments, console);
    if (!asked) return asked.error();
    const auto [disk, json] = *asked;
    for (unsigned i = 0; i < disk->device->queue_count(); ++i) {
        const AdaptiveQueue::Report report = disk->device->adaptive_queue(i).report();
        if (json)
            print_json(*disk, i, report, console);
        else
            print(i, report, console);
    }
    return status::ok;
}

}  // namespace exo::guest::blk
