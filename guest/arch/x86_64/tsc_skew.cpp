#include "guest/arch/x86_64/tsc_skew.h"

#include <atomic>
#include <cstdint>

#include "guest/arch/arch.h"
#include "guest/arch/x86_64/cpu.h"

namespace exo::guest::arch {
namespace {

constexpr std::uint32_t most_samples = 64, least_samples = 4;
constexpr std::uint32_t over = ~std::uint32_t{0};

constinit std::atomic<std::uint32_t> asked = 0;
constinit std::atomic<std::uint32_t> answered = 0;
constinit std::atomic<std::uint64_t> answer = 0;

}  // namespace

TscSkew measure_tsc_skew() {
    const InterruptGuard guard;
    // Where processors share one, a sample may take a turn of the scheduler outside.
    const std::uint64_t patience = timestamp_frequency() / 50;
    const std::uint64_t start = rdtsc();
    TscSkew best{.ticks = 0, .uncertainty = ~std::uint64_t{0}};
    for (std::uint32_t i = 1; i <= most_samples; ++i) {
        if (i > least_samples && rdtsc() - start > patience) break;
        const std::uint64_t before = rdtsc();
        asked.store(i, std::memory_order_release);
        while (answered.load(std::memory_order_acquire) != i) pause();
        const std::uint64_t half = (rdtsc() - before) / 2;
        if (half >= best.uncertainty) continue;
        best = {.ticks = static_cast<std::int64_t>(answer.load(std::memory_order_relaxed) - (before + half)),
                .uncertainty = half};
    }
    asked.store(over, std::memory_order_release);
    while (answered.load(std::memory_order_acquire) != over) pause();
    asked.store(0);
    answered.store(0);
    return best;
}

void answer_tsc_samples() {
    for (std::uint32_t last = 0; last != over; pause()) {
        const std::uint32_t now_asked = asked.load(std::memory_order_acquire);
        if (now_asked == last) continue;
        last = now_asked;
        answer.store(rdtsc(), std::memory_order_relaxed);
        answered.store(last, std::memory_order_release);
    }
}

}  // namespace exo::guest::arch
