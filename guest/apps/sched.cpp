#include <algorithm>
#include <memory>
#include <new>
#include <optional>

#include "guest/drivers/time_source.h"
#include "guest/kernel/command.h"
#include "guest/kernel/json.h"
#include "guest/sched/thread_report.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{"sched", "[--json] [--trace]",
                          "show what the scheduler has counted, or decided last", run,
                          "FORESEEN is the share of bursts whose class was right, ACCURACY the mean of the "
                          "smaller of prediction\nand burst divided by the larger. With --trace: the last "
                          "decisions of each CPU, the latest first.\n"};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

std::string_view name_of(Decision::Kind kind) {
    switch (kind) {
        case Decision::Kind::picked:
            return "picked";
        case Decision::Kind::picked_for_age:
            return "aged";
        case Decision::Kind::stolen:
            return "stolen";
        case Decision::Kind::preempted:
            return "preempted";
    }
    return "unknown";
}

void print_json(unsigned cpu, const SchedulerCpuInfo& info, CommandConsole& console) {
    const SchedulerStatistics& policy = info.statistics;
    JsonLine(console)
        .number("cpu", cpu)
        .number("switches", info.counts.switches)
        .number("wake_ups", info.counts.wake_ups)
        .number("interrupts_sent", info.counts.interrupts)
        .number("timer_wakes", info.counts.timer_wakes)
        .number("idle_ns", info.counts.idle_ns)
        .number("ready", info.ready)
        .number("picked_hot", policy.scheduled[0])
        .number("picked_normal", policy.scheduled[1])
        .number("picked_cold", policy.scheduled[2])
        .number("picked_for_age", policy.aged)
        .number("affinity_hits", policy.affinity_hits)
        .number("reclassifications", policy.reclassifications)
        .number("preemptions", policy.preemptions)
        .number("steals", info.counts.steals)
        .number("stolen", policy.stolen)
        .number("bursts", policy.bursts)
        .number("class_foreseen", policy.class_foreseen)
        .number("accuracy_thousandths", policy.accuracy());
}

/// One line for a count, a column for each CPU.
template <class Count>
void print_row(std::string_view name, std::span<const SchedulerCpuInfo> cpus, CommandConsole& console,
               Count count) {
    format(console, "{:<22}", name);
    for (const SchedulerCpuInfo& cpu : cpus) format(console, "{:>12,}", count(cpu));
    console.write("\n");
}

void print_text(std::span<const SchedulerCpuInfo> cpus, CommandConsole& console) {
    format(console, "{:<22}", "CPU");
    for (std::size_t cpu = 0; cpu < cpus.size(); ++cpu) format(console, "{:>12}", cpu);
    console.write("\n");
    using Info = const SchedulerCpuInfo&;
    const auto row = [&](std::string_view name, auto count) { print_row(name, cpus, console, count); };
    row("switches", [](Info cpu) { return cpu.counts.switches; });
    row("wake-ups", [](Info cpu) { return cpu.counts.wake_ups; });
    row("wake-ups by timer", [](Info cpu) { return cpu.counts.timer_wakes; });
    row("interrupts sent", [](Info cpu) { return cpu.counts.interrupts; });
    row("idle, ms", [](Info cpu) { return cpu.counts.idle_ns / ns_per_ms; });
    row("ready now", [](Info cpu) { return cpu.ready; });
    row("picked hot", [](Info cpu) { return cpu.statistics.scheduled[0]; });
    row("picked normal", [](Info cpu) { return cpu.statistics.scheduled[1]; });
    row("picked cold", [](Info cpu) { return cpu.statistics.scheduled[2]; });
    row("picked for age", [](Info cpu) { return cpu.statistics.aged; });
    row("affinity hits", [](Info cpu) { return cpu.statistics.affinity_hits; });
    row("reclassifications", [](Info cpu) { return cpu.statistics.reclassifications; });
    row("pre-emptions", [](Info cpu) { return cpu.statistics.preemptions; });
    row("threads stolen", [](Info cpu) { return cpu.counts.steals; });
    row("bursts", [](Info cpu) { return cpu.statistics.bursts; });
    row("class foreseen", [](Info cpu) { return cpu.statistics.class_foreseen; });
    row("accuracy, 1/1000", [](Info cpu) { return cpu.statistics.accuracy(); });
}

void print_decision(unsigned cpu, const Decision& decision, bool json, CommandConsole& console) {
    if (json) {
        JsonLine(console)
            .number("cpu", cpu)
            .number("time_ns", decision.time)
            .text("decision", name_of(decision.kind))
            .number("thread", decision.thread)
            .text("class", name_of(decision.thread_class))
            .number("prediction_ns", decision.prediction)
            .number("waited_ns", decision.waited)
            .number("ready", decision.ready);
        return;
    }
    format(console, "{:>4}{:>16,}  {:<10}{:>7}  {:<7}", cpu, decision.time, name_of(decision.kind),
           decision.thread, name_of(decision.thread_class));
    format(console, "{:>14,}{:>14,}{:>6}\n", decision.prediction, decision.waited, decision.ready);
}

void print_trace(std::span<const SchedulerCpuInfo> cpus, bool json, CommandConsole& console) {
    if (!json)
        format(console, "{:>4}{:>16}  {:<10}{:>7}  {:<7}{:>14}{:>14}{:>6}\n", "CPU", "TIME, NS", "DECISION",
               "THREAD", "CLASS", "EXPECTED, NS", "WAITED, NS", "READY");
    for (unsigned cpu = 0; cpu < cpus.size(); ++cpu)
        for (std::size_t back = 0; back < cpus[cpu].trace.size(); ++back)
            print_decision(cpu, cpus[cpu].trace.back(back), json, console);
}

unsigned run(Arguments arguments, CommandConsole& console) {
    bool json = false;
    bool trace = false;
    const CommandOption known[] = {{"--json", &json}, {"--trace", &trace}};
    if (!parse_arguments(arguments, known, {}, command, console)) return status::bad_usage;
    if (Thread::current() == nullptr) {
        console.write("sched: there are no threads\n");
        return status::failure;
    }
    Scheduler& scheduler = Thread::current()->scheduler();
    const unsigned count = scheduler.cpu_count();
    const std::unique_ptr<SchedulerCpuInfo[]> infos(new (std::nothrow) SchedulerCpuInfo[count]);
    if (infos == nullptr) {
        console.write("sched: there is no memory for the numbers\n");
        return status::failure;
    }
    for (unsigned cpu = 0; cpu < count; ++cpu) infos[cpu] = scheduler.cpu_info(cpu);
    const std::span<const SchedulerCpuInfo> cpus(infos.get(), count);
    if (trace) {
        print_trace(cpus, json, console);
    } else if (json) {
        for (unsigned cpu = 0; cpu < count; ++cpu) print_json(cpu, cpus[cpu], console);
    } else {
        format(console, "policy: {}\n", name_of(scheduler.policy()));
        print_text(cpus, console);
    }
    return status::ok;
}

}  // namespace
}  // namespace exo::guest
