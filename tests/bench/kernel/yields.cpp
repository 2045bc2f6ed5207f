// Compiled into both kernels; EXO_BENCH_KERNEL is the namespace of the one.
#include <atomic>

#include "guest/sched/this_thread.h"
#include "tests/bench/frame/tsc.h"
#include "tests/bench/kernel/hosted_kernel.h"
#include "tests/bench/kernel/run_kernel.h"

namespace exo::bench::EXO_BENCH_KERNEL {

/// Two threads on one CPU give it to each other: run queue, its lock and the clock included.
[[gnu::visibility("default")]] Run run_yields(guest::PolicyKind policy) {
    constexpr std::uint64_t yields = 5'000;
    Run run;
    run_kernel(1, policy, [&run](guest::Scheduler& scheduler) {
        std::atomic<bool> stop = false;
        std::uint64_t others = 0;
        auto other = scheduler.spawn({.name = "other"}, [&] {
            for (; !stop.load(std::memory_order_relaxed); ++others) guest::this_thread::yield();
        });
        if (!other) return;
        guest::this_thread::yield();
        const std::uint64_t before = others;
        const std::uint64_t begin = read_tsc();
        for (std::uint64_t i = 0; i < yields; ++i) guest::this_thread::yield();
        run.ticks = read_tsc() - begin;
        // By turns, but for a slice that ended between.
        const std::uint64_t answered = others - before;
        run.operations = yields + answered;
        run.verified = answered > yields * 9 / 10 && answered < yields * 11 / 10;
        stop = true;
        other->join();
    });
    return run;
}

}  // namespace exo::bench::EXO_BENCH_KERNEL
