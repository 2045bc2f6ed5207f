#pragma once

#include <cstdint>
#include <ctime>

#include "guest/drivers/time_source.h"

namespace exo::bench {

inline std::uint64_t read_clock(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * guest::ns_per_s +
           static_cast<std::uint64_t>(time.tv_nsec);
}

/// Time as the guest's kernel has it: by the time-stamp counter, with the processor's pause while one polls.
class HostedTime final : public guest::TimeSource {
  public:
    /// Takes 50 ms to measure the counter against the host's monotonic clock.
    HostedTime() {
        const Moment begin = look();
        while (read_clock(CLOCK_MONOTONIC) < begin.ns + 50 * guest::ns_per_ms) relax();
        base_ = look();
        scale_ = ((base_.ns - begin.ns) << 32) / (base_.ticks - begin.ticks);
    }

    std::uint64_t now_ns() const override { return base_.ns + ns_of(__builtin_ia32_rdtsc() - base_.ticks); }
    void relax() override { __builtin_ia32_pause(); }
    std::uint64_t ns_of(std::uint64_t ticks) const {
        return static_cast<std::uint64_t>(static_cast<unsigned __int128>(ticks) * scale_ >> 32);
    }

  private:
    /// One moment by both clocks.
    struct Moment {
        std::uint64_t ns = 0;
        std::uint64_t ticks = 0;
    };

    /// Of several looks the one that took least, since a thread may lose its CPU between the two clocks.
    static Moment look() {
        Moment best;
        std::uint64_t least = ~std::uint64_t{0};
        for (unsigned i = 0; i < 20; ++i) {
            const std::uint64_t before = __builtin_ia32_rdtsc();
            const std::uint64_t ns = read_clock(CLOCK_MONOTONIC);
            const std::uint64_t took = __builtin_ia32_rdtsc() - before;
            if (took >= least) continue;
            least = took;
            best = {.ns = ns, .ticks = before + took / 2};
        }
        return best;
    }

    Moment base_;
    std::uint64_t scale_ = 0;  ///< nanoseconds a tick, 2^32 times
};

}  // namespace exo::bench
