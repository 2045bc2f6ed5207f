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
    /// Takes 20 ms to measure the counter against the host's monotonic clock.
    HostedTime() {
        const std::uint64_t ticks = __builtin_ia32_rdtsc();
        const std::uint64_t begin = read_clock(CLOCK_MONOTONIC);
        while (read_clock(CLOCK_MONOTONIC) < begin + 20 * guest::ns_per_ms) relax();
        base_ns_ = read_clock(CLOCK_MONOTONIC);
        base_ticks_ = __builtin_ia32_rdtsc();
        scale_ = ((base_ns_ - begin) << 32) / (base_ticks_ - ticks);
    }

    std::uint64_t now_ns() const override { return base_ns_ + ns_of(__builtin_ia32_rdtsc() - base_ticks_); }
    void relax() override { __builtin_ia32_pause(); }
    std::uint64_t ns_of(std::uint64_t ticks) const {
        return static_cast<std::uint64_t>(static_cast<unsigned __int128>(ticks) * scale_ >> 32);
    }

  private:
    std::uint64_t base_ns_ = 0;
    std::uint64_t base_ticks_ = 0;
    std::uint64_t scale_ = 0;  ///< nanoseconds a tick, 2^32 times
};

}  // namespace exo::bench
