// The time-stamp counter, which every figure is taken with, and how fast the core runs beside it.
#pragma once

#include <cstdint>

namespace exo::bench {

/// Everything before it has been executed, and nothing after it has begun.
inline std::uint64_t read_tsc() {
    std::uint32_t low;
    std::uint32_t high;
    asm volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high)::"memory");
    return (std::uint64_t{high} << 32) | low;
}

/// Core cycles in a thousand TSC ticks, by a chain of additions that takes exactly one cycle each.
inline std::uint64_t core_cycles_per_1000_ticks() {
    constexpr std::uint64_t rounds = 20'000;
    std::uint64_t best = ~std::uint64_t{0};
    for (int attempt = 0; attempt < 20; ++attempt) {
        std::uint64_t value = 0;
        const std::uint64_t begin = read_tsc();
        for (std::uint64_t i = 0; i < rounds; ++i)
            asm volatile(".rept 100\n\tadd $1, %0\n\t.endr" : "+r"(value));
        const std::uint64_t ticks = read_tsc() - begin;
        best = ticks < best ? ticks : best;
    }
    return rounds * 100 * 1000 / best;
}

}  // namespace exo::bench
