#pragma once

#include <cstdint>

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
};

}  // namespace exo::guest
