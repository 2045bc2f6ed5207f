#include <cstdint>

#include "guest/arch/arch.h"
#include "guest/arch/cpu_report.h"
#include "guest/kernel/command.h"
#include "guest/kernel/json.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{
    "cpus", "[--json]", "show what each processor does", run,
    "IPIS are interrupts from other processors. IDLE is the time that it slept. TSC SKEW is how far its\n"
    "time-stamp counter was ahead of processor 0's when it came up, and how exactly that is known.\n"};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

void print_json(unsigned cpu, const arch::CpuReport& report, TextSink& out) {
    JsonLine(out)
        .number("cpu", cpu)
        .number("apic_id", report.apic_id)
        .text("state", report.state)
        .number("interrupts", report.interrupts)
        .number("ipis", report.ipis)
        .number("idle_ns", report.idle_ns)
        .text("timer", report.timer)
        .integer("tsc_skew_ns", report.tsc_skew_ns)
        .number("tsc_skew_error_ns", report.tsc_skew_error_ns);
}

void print_row(unsigned cpu, const arch::CpuReport& report, TextSink& out) {
    FixedText<24> idle;
    format(idle, "{}", Duration{report.idle_ns});
    FixedText<48> skew;
    format(skew, "{} ns, +-{} ns", report.tsc_skew_ns, report.tsc_skew_error_ns);
    format(out, "{:>3}{:>9}  {:<8}{:>12}{:>10}{:>12}  {:<14}{}\n", cpu, report.apic_id, report.state,
           report.interrupts, report.ipis, idle.view(), report.timer, skew.view());
}

unsigned run(Arguments arguments, CommandConsole& console) {
    bool json = false;
    const CommandOption known[] = {{"--json", &json}};
    if (!parse_arguments(arguments, known, {}, command, console)) return status::bad_usage;
    if (!json)
        format(console, "{:>3}{:>9}  {:<8}{:>12}{:>10}{:>12}  {:<14}{}\n", "CPU", "APIC ID", "STATE",
               "INTERRUPTS", "IPIS", "IDLE", "TIMER", "TSC SKEW");
    for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu)
        (json ? print_json : print_row)(cpu, arch::cpu_report(cpu), console);
    const unsigned unused = arch::machine_cpu_count() - arch::cpu_count();
    if (unused != 0 && !json) format(console, "{} more are not in use\n", unused);
    return status::ok;
}

}  // namespace
}  // namespace exo::guest
