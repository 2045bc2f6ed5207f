#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "guest/drivers/time_source.h"

namespace exo::guest {

/// Operations a second over the last second: a sliding window of sixteen buckets. To be fed when there is a
/// reason to read the clock, not for each operation: `add` takes a count.
class RateWindow {
  public:
    static constexpr std::size_t bucket_count = 16;
    static constexpr std::uint64_t bucket_ns = ns_per_s / bucket_count;

    /// @param now_ns  monotonic; a clock that went back counts as one that stood
    void add(std::uint64_t now_ns, std::uint64_t operations) {
        advance(now_ns);
        counts_[current_] += operations;
        sum_ += operations;
    }

    /// Over what has passed since the first operation, as long as that is less than the window.
    std::uint64_t per_second(std::uint64_t now_ns) {
        advance(now_ns);
        const std::uint64_t older = (filled_ - 1) * bucket_ns;
        const std::uint64_t span = older + (now_ns > start_ns_ ? now_ns - start_ns_ : 0);
        return span < ns_per_ms ? 0 : sum_ * ns_per_s / span;
    }

  private:
    void advance(std::uint64_t now_ns) {
        if (!started_) {
            started_ = true;
            start_ns_ = now_ns;
        }
        if (now_ns < start_ns_ + bucket_ns) return;
        const std::uint64_t steps = (now_ns - start_ns_) / bucket_ns;
        for (std::uint64_t i = 0; i < steps && i < bucket_count; ++i) {
            current_ = (current_ + 1) % bucket_count;
            sum_ -= counts_[current_];
            counts_[current_] = 0;
        }
        filled_ = filled_ + steps < bucket_count ? filled_ + steps : bucket_count;
        start_ns_ += steps * bucket_ns;
    }

    std::array<std::uint64_t, bucket_count> counts_{};
    std::uint64_t sum_ = 0;
    std::uint64_t filled_ = 1;    ///< buckets that the window spans, the current one included
    std::uint64_t start_ns_ = 0;  ///< of the current bucket
    std::size_t current_ = 0;
    bool started_ = false;
};

}  // namespace exo::guest
