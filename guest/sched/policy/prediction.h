#pragma once

#include <algorithm>
#include <cstdint>

namespace exo::guest {

/// Time and spans of it, as the kernel's clock counts them.
using Nanoseconds = std::uint64_t;

constexpr Nanoseconds microseconds(std::uint64_t count) {
    return count * 1'000;
}
constexpr Nanoseconds milliseconds(std::uint64_t count) {
    return count * 1'000'000;
}

/// How long a thread's next CPU burst will be: the exponential moving average of the bursts seen, with weight
/// 1/4 for the last one. In fixed point: on whole numbers `p += (burst - p) / 4` stalls three units before
/// its target, with fraction bits it stalls where nobody sees it.
class Prediction {
  public:
    static constexpr unsigned fraction_bits = 8;
    /// A longer burst counts as this one: it is a hog's in any case, and is forgotten in bounded time.
    static constexpr Nanoseconds longest_burst = milliseconds(1'000);

    explicit constexpr Prediction(Nanoseconds initial) : value_(to_fixed(initial)) {}

    constexpr Nanoseconds burst() const {
        return (static_cast<Nanoseconds>(value_) + (1U << (fraction_bits - 1))) >> fraction_bits;
    }

    /// A burst has ended after so long.
    constexpr void observe(Nanoseconds burst) { value_ += (to_fixed(burst) - value_) / 4; }

  private:
    static constexpr std::int64_t to_fixed(Nanoseconds time) {
        return static_cast<std::int64_t>(std::min(time, longest_burst) << fraction_bits);
    }

    std::int64_t value_;
};

}  // namespace exo::guest
