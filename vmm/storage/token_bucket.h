#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace exo::vmm {

/// A limit on how much is done in a second, as the generic cell rate algorithm (ITU-T I.371) keeps it: one
/// point in time. What was not used of the last tenth of a second is there at once; whoever takes more than
/// there is goes into debt, and nothing is taken before the debt is paid. So a single piece larger than any
/// store still goes through.
class TokenBucket {
  public:
    using Time = std::chrono::nanoseconds;
    static constexpr Time store = std::chrono::milliseconds(100);

    /// @param per_second  0 for no limit
    explicit TokenBucket(std::uint64_t per_second) : per_second_(per_second) {}

    /// When something may be taken; a time that has passed is now.
    Time ready_at() const { return paid_at_; }

    void take(std::uint64_t amount, Time now) {
        if (per_second_ == 0) return;
        paid_at_ = std::max(paid_at_, now - store) + cost(amount);
    }

  private:
    /// No more than a day, so that nothing overflows.
    Time cost(std::uint64_t amount) const {
        constexpr std::uint64_t second = 1'000'000'000;
        const std::uint64_t nanoseconds =
            (std::min<std::uint64_t>(amount, 1ull << 33) * second + (per_second_ - 1)) / per_second_;
        return std::min<Time>(Time(static_cast<std::int64_t>(nanoseconds)), std::chrono::hours(24));
    }

    std::uint64_t per_second_;
    Time paid_at_ = Time::min() / 2;
};

}  // namespace exo::vmm
