#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <new>
#include <span>

#include "guest/drivers/time_source.h"
#include "guest/kernel/command.h"
#include "guest/kernel/json.h"
#include "guest/sched/this_thread.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{
    "wakeups", "[--json]", "measure how long woken threads wait for a CPU, by both policies", run,
    "For each CPU 8 threads that compute for 0.9 to 2.7 ms after a pause of 15 to 45 ms, and 4 that never\n"
    "pause. The latency is the time from the end of a pause to the thread's next instruction. The policies\n"
    "take turns, 2 times a second each; a ratio tells how many times longer round robin lets wait.\n"};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

constexpr unsigned rounds = 2;
constexpr std::uint64_t warm_up_ns = 100 * ns_per_ms;
constexpr std::uint64_t measured_ns = 900 * ns_per_ms;
constexpr unsigned interactive_per_cpu = 8;
constexpr unsigned hogs_per_cpu = 4;
constexpr unsigned most_cpus = 4;
constexpr std::size_t most_latencies = 8'192;

void compute(std::uint64_t turns) {
    for (std::uint64_t turn = 0; turn < turns; ++turn) asm volatile("");
}

/// Turns of compute() in a millisecond, while nobody else runs here.
std::uint64_t turns_in_a_millisecond() {
    constexpr std::uint64_t turns = 1'000'000;
    const PreemptionGuard guard;
    const std::uint64_t start = arch::now_ns();
    compute(turns);
    return turns * ns_per_ms / std::max<std::uint64_t>(arch::now_ns() - start, 1);
}

/// Of one policy, in all rounds.
struct Latencies {
    PolicyKind policy;
    std::unique_ptr<std::uint64_t[]> ns{new (std::nothrow) std::uint64_t[most_latencies]};
    std::atomic<std::size_t> count = 0;

    void add(std::uint64_t latency) {
        if (const std::size_t at = count.fetch_add(1); at < most_latencies) ns[at] = latency;
    }
    std::span<std::uint64_t> all() { return {ns.get(), std::min(count.load(), most_latencies)}; }
};

struct Summary {
    std::uint64_t wake_ups, mean, p50, p99;

    explicit Summary(std::span<std::uint64_t> all) : wake_ups(all.size()), mean(0), p50(0), p99(0) {
        if (all.empty()) return;
        std::ranges::sort(all);
        for (const std::uint64_t one : all) mean += one;
        mean /= wake_ups;
        p50 = all[wake_ups / 2];
        p99 = all[wake_ups * 99 / 100];
    }
};

/// Computes and pauses by turns, each time between half and one and a half times the mean.
class Interactive {
  public:
    Interactive(unsigned seed, std::uint64_t burst_turns)
        : state_(seed * 2'654'435'761U + 1), turns_(burst_turns) {}

    void work(Latencies& latencies, std::uint64_t from_ns, std::uint64_t until_ns) {
        for (;;) {
            const std::uint64_t wake_at = arch::now_ns() + around(30 * ns_per_ms);
            if (wake_at >= until_ns) return;
            this_thread::sleep_until(wake_at);
            const std::uint64_t now = arch::now_ns();
            if (wake_at >= from_ns) latencies.add(now - wake_at);
            compute(around(turns_));
        }
    }

  private:
    std::uint64_t around(std::uint64_t mean) {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 17;
        state_ ^= state_ << 5;
        return mean / 2 + mean * (state_ % 1024) / 1024;
    }

    std::uint32_t state_;
    std::uint64_t turns_;
};

/// Whether there was memory for the threads, which have all ended.
bool measure(Scheduler& scheduler, Latencies& latencies, std::uint64_t turns_per_ms) {
    scheduler.use_policy(latencies.policy);
    const unsigned cpus = std::min(scheduler.cpu_count(), most_cpus);
    const std::uint64_t from = arch::now_ns() + warm_up_ns;
    const std::uint64_t until = from + measured_ns;
    std::array<ThreadHandle, most_cpus*(interactive_per_cpu + hogs_per_cpu)> threads;
    for (unsigned i = 0; i < cpus * (interactive_per_cpu + hogs_per_cpu); ++i) {
        const bool hog = i % (interactive_per_cpu + hogs_per_cpu) >= interactive_per_cpu;
        auto thread = scheduler.spawn({.name = hog ? "hog" : "interactive"}, [&, i, hog] {
            if (!hog) return Interactive(i, turns_per_ms * 9 / 5).work(latencies, from, until);
            while (arch::now_ns() < until) compute(1'000);
        });
        if (!thread) return false;
        threads[i] = std::move(*thread);
    }
    return true;
}

void print(const Latencies& latencies, const Summary& summary, bool json, CommandConsole& console) {
    if (json)
        JsonLine(console)
            .text("policy", name_of(latencies.policy))
            .number("wake_ups", summary.wake_ups)
            .number("mean_ns", summary.mean)
            .number("p50_ns", summary.p50)
            .number("p99_ns", summary.p99);
    else
        format(console, "{:<14}{:>10,}{:>14,}{:>14,}{:>14,}\n", name_of(latencies.policy), summary.wake_ups,
               summary.mean, summary.p50, summary.p99);
}

void print_ratios(const Summary& own, const Summary& classic, unsigned cpus, bool json,
                  CommandConsole& console) {
    const auto thousandths = [](std::uint64_t part, std::uint64_t of) {
        return part * 1000 / std::max<std::uint64_t>(of, 1);
    };
    const std::uint64_t mean = thousandths(classic.mean, own.mean);
    const std::uint64_t p50 = thousandths(classic.p50, own.p50);
    const std::uint64_t p99 = thousandths(classic.p99, own.p99);
    if (json)
        JsonLine(console)
            .number("cpus", cpus)
            .number("mean_ratio_thousandths", mean)
            .number("p50_ratio_thousandths", p50)
            .number("p99_ratio_thousandths", p99);
    else
        format(console, "{:<24}{:>11}.{}x{:>11}.{}x{:>11}.{}x\n", "round robin lets wait", mean / 1000,
               mean / 100 % 10, p50 / 1000, p50 / 100 % 10, p99 / 1000, p99 / 100 % 10);
}

unsigned run(Arguments arguments, CommandConsole& console) {
    bool json = false;
    const CommandOption known[] = {{"--json", &json}};
    if (!parse_arguments(arguments, known, {}, command, console)) return status::bad_usage;
    if (Thread::current() == nullptr) {
        console.write("wakeups: there are no threads\n");
        return status::failure;
    }
    Scheduler& scheduler = Thread::current()->scheduler();
    Latencies own{.policy = PolicyKind::predictive};
    Latencies classic{.policy = PolicyKind::round_robin};
    bool enough = own.ns != nullptr && classic.ns != nullptr;
    const PolicyKind before = scheduler.policy();
    const std::uint64_t turns = turns_in_a_millisecond();
    for (unsigned round = 0; round < rounds && enough; ++round)
        enough = measure(scheduler, own, turns) && measure(scheduler, classic, turns);
    scheduler.use_policy(before);
    if (!enough) {
        console.write("wakeups: there is no memory for the threads\n");
        return status::failure;
    }
    const Summary own_summary(own.all());
    const Summary classic_summary(classic.all());
    if (!json)
        format(console, "{:<14}{:>10}{:>14}{:>14}{:>14}\n", "POLICY", "WAKE-UPS", "MEAN, NS", "P50, NS",
               "P99, NS");
    print(own, own_summary, json, console);
    print(classic, classic_summary, json, console);
    print_ratios(own_summary, classic_summary, scheduler.cpu_count(), json, console);
    return status::ok;
}

}  // namespace
}  // namespace exo::guest
