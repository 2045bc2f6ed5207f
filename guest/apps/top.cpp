#include <algorithm>
#include <memory>
#include <new>
#include <span>

#include "guest/drivers/time_source.h"
#include "guest/kernel/command.h"
#include "guest/sched/thread_report.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{"top", "[--once]", "watch the threads, the busiest first; q ends", run,
                          "CPU is what a thread had of one CPU since the line before, or in the first "
                          "picture of a fifth of a second.\n"};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

constexpr std::size_t most_threads = 256;
constexpr std::size_t most_rows = 20;
constexpr std::uint64_t first_span_ns = 200 * ns_per_ms;
constexpr std::uint64_t span_ns = 1'000 * ns_per_ms;

/// The threads as they were at one moment.
struct Picture {
    std::array<ThreadInfo, most_threads> threads;
    std::size_t count = 0;
    std::uint64_t time_ns = 0;

    void take(Scheduler& scheduler) {
        count = scheduler.list(threads);
        time_ns = arch::now_ns();
    }
    std::span<const ThreadInfo> all() const { return std::span(threads).first(count); }

    /// How long the thread had run then; idle threads have no id of their own.
    std::uint64_t run_time_of(const ThreadInfo& thread) const {
        const auto found = std::ranges::find_if(all(), [&](const ThreadInfo& other) {
            return other.id == thread.id && other.is_idle == thread.is_idle &&
                   (!thread.is_idle || other.cpu == thread.cpu);
        });
        return found == all().end() ? 0 : found->run_time;
    }
};

struct Row {
    const ThreadInfo* thread = nullptr;
    std::int64_t share = 0;  ///< of a CPU, in thousandths
};

void show(const Picture& before, const Picture& now, bool live, CommandConsole& console) {
    std::array<Row, most_threads> storage;
    const std::uint64_t span = std::max<std::uint64_t>(now.time_ns - before.time_ns, 1);
    for (std::size_t i = 0; i < now.count; ++i) {
        const ThreadInfo& thread = now.threads[i];
        const std::uint64_t ran = thread.run_time - std::min(thread.run_time, before.run_time_of(thread));
        storage[i] = {&thread, static_cast<std::int64_t>(std::min<std::uint64_t>(ran * 1000 / span, 1000))};
    }
    const std::span rows = std::span(storage).first(now.count);
    std::ranges::sort(rows, [](const Row& a, const Row& b) {
        return a.share != b.share ? a.share > b.share : a.thread->id < b.thread->id;
    });
    const std::string_view end_of_line = live ? "\x1b[K\n" : "\n";
    if (live) console.write("\x1b[H");
    format(console, "{} threads, up {}{}", now.count, Duration{now.time_ns}, end_of_line);
    print_thread_header(console, true);
    console.write(end_of_line);
    for (const Row& row : rows.first(std::min(rows.size(), most_rows))) {
        print_thread(console, *row.thread, row.share);
        console.write(end_of_line);
    }
    if (live) console.write("\x1b[J");
}

/// False when it is to end.
bool wait_for_next(CommandConsole& console, std::uint64_t deadline_ns) {
    while (arch::now_ns() < deadline_ns) {
        while (const auto key = console.read())
            if (*key == 'q' || *key == '\x03') return false;
        console.wait_for_input(deadline_ns);
    }
    return true;
}

unsigned run(Arguments arguments, CommandConsole& console) {
    bool once = false;
    const CommandOption known[] = {{"--once", &once}};
    if (!parse_arguments(arguments, known, {}, command, console)) return status::bad_usage;
    if (Thread::current() == nullptr) {
        console.write("top: there are no threads\n");
        return status::failure;
    }
    const std::unique_ptr<Picture[]> pictures(new (std::nothrow) Picture[2]);
    if (pictures == nullptr) {
        console.write("top: there is no memory for the list\n");
        return status::failure;
    }
    Scheduler& scheduler = Thread::current()->scheduler();
    const bool live = !once && console.interactive();
    pictures[0].take(scheduler);
    if (live) console.write("\x1b[2J");
    std::uint64_t span = first_span_ns;
    for (unsigned now = 1; wait_for_next(console, pictures[1 - now].time_ns + span); now = 1 - now) {
        pictures[now].take(scheduler);
        show(pictures[1 - now], pictures[now], live, console);
        if (!live) return status::ok;
        span = span_ns;
    }
    return status::ok;
}

}  // namespace
}  // namespace exo::guest
