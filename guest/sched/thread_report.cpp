#include "guest/sched/thread_report.h"

namespace exo::guest {
namespace {

/// "12.3%"
FixedText<12> percent(std::int64_t thousandths) {
    FixedText<12> text;
    format(text, "{}.{}%", thousandths / 10, thousandths % 10);
    return text;
}

FixedText<24> span_of_time(std::uint64_t ns) {
    FixedText<24> text;
    format(text, "{}", Duration{ns});
    return text;
}

}  // namespace

std::string_view name_of(ThreadInfo::State state) {
    switch (state) {
        case ThreadInfo::State::running:
            return "running";
        case ThreadInfo::State::ready:
            return "ready";
        case ThreadInfo::State::waiting:
            return "waiting";
        case ThreadInfo::State::ended:
            return "ended";
    }
    return "unknown";
}

std::string_view name_of(ThreadClass thread_class) {
    switch (thread_class) {
        case ThreadClass::hot:
            return "hot";
        case ThreadClass::normal:
            return "normal";
        case ThreadClass::cold:
            return "cold";
    }
    return "unknown";
}

void print_thread_header(TextSink& sink, bool with_share) {
    format(sink, "{:>5} {:<8} {:>3} {:<7}{:>10}{:>10}{:>10}{:>16}", "ID", "STATE", "CPU", "CLASS", "EXPECTED",
           "RUN TIME", "SWITCHES", "STACK");
    format(sink, "{}  NAME", with_share ? "     CPU" : "");
}

void print_thread(TextSink& sink, const ThreadInfo& thread, std::int64_t share) {
    FixedText<24> stack;
    if (thread.stack_size != 0)
        format(stack, "{} of {} KiB", (thread.stack_used + 1023) / 1024, thread.stack_size / 1024);
    format(sink, "{:>5} {:<8} {:>3} {:<7}{:>10}{:>10}{:>10}{:>16}", thread.id, name_of(thread.state),
           thread.cpu, thread.is_idle ? "-" : name_of(thread.thread_class),
           span_of_time(thread.is_idle ? 0 : thread.prediction).view(), span_of_time(thread.run_time).view(),
           thread.switches, stack.view());
    if (share >= 0) format(sink, "{:>8}", percent(share).view());
    format(sink, "  {}", std::string_view(thread.name.data()));
}

}  // namespace exo::guest
