#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace exo::vmm {

/// The passing of time, injected so that devices can be tested without waiting for it.
class Clock {
  public:
    virtual ~Clock() = default;
    /// Monotonic, from an arbitrary start.
    virtual std::chrono::nanoseconds now() const = 0;
    /// Wall clock, UTC.
    virtual std::chrono::system_clock::time_point wall() const = 0;
};

/// A point in time by the clock of those who have it; none for never.
using Deadline = std::optional<std::chrono::nanoseconds>;

constexpr Deadline earlier(Deadline one, Deadline other) {
    return one && other ? std::min(one, other) : one ? one : other;
}

class SystemClock final : public Clock {
  public:
    std::chrono::nanoseconds now() const override {
        return std::chrono::steady_clock::now().time_since_epoch();
    }
    std::chrono::system_clock::time_point wall() const override { return std::chrono::system_clock::now(); }
};

}  // namespace exo::vmm
