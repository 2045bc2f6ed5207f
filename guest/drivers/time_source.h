#pragma once

#include <cstdint>
#include <limits>

namespace exo::guest {

inline constexpr std::uint64_t ns_per_us = 1'000;
inline constexpr std::uint64_t ns_per_ms = 1'000'000;
inline constexpr std::uint64_t ns_per_s = 1'000'000'000;

/// The passing of time for drivers, injected so that tests need not wait for it.
class TimeSource {
  public:
    virtual ~TimeSource() = default;
    /// Monotonic nanoseconds from an arbitrary start.
    virtual std::uint64_t now_ns() const = 0;
    /// One turn of a polling loop: the processor's pause instruction; a hosted clock may move on here.
    virtual void relax() = 0;

    /// What devices on this host stamp their times with: the time-stamp counter on a machine.
    virtual std::uint64_t timestamp() const { return now_ns(); }
    /// Of its ticks a second.
    virtual std::uint64_t timestamp_frequency() const { return ns_per_s; }
    std::uint64_t ticks_to_ns(std::uint64_t ticks) const {
        const std::uint64_t frequency = timestamp_frequency();
        return ticks / frequency * ns_per_s + ticks % frequency * ns_per_s / frequency;
    }
};

/// For places that keep a time in 32 bits: 4.3 s at most.
constexpr std::uint32_t clamp_ns(std::uint64_t ns) {
    constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
    return ns < most ? static_cast<std::uint32_t>(ns) : most;
}

}  // namespace exo::guest
