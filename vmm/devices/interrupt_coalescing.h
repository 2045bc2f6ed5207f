#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "shared/block/protocol.h"

namespace exo::vmm {

/// Completions that the guest can see, but sleeps and has not been interrupted for, because it asked for a
/// later position. They are told when nothing more is to come that could reach the position, or when the
/// first of them has waited long enough. Pure bookkeeping: whoever owns it looks at the ring.
class InterruptCoalescing {
  public:
    /// How long a completion waits for company at most (shared/block/README.md, Who wakes whom).
    static constexpr std::chrono::nanoseconds limit(block::Urgency urgency) {
        using std::chrono::microseconds;
        switch (urgency) {
            case block::Urgency::relaxed:
                return microseconds(block::coalescing_relaxed_us);
            case block::Urgency::urgent:
                return microseconds(0);
            case block::Urgency::normal:
                break;
        }
        return microseconds(block::coalescing_normal_us);
    }

    void hold(block::Urgency urgency, std::chrono::nanoseconds now) {
        const auto latest = now + limit(urgency);
        deadline_ = deadline_ ? std::min(*deadline_, latest) : latest;
    }
    /// The guest was interrupted, or looks by itself.
    void clear() { deadline_.reset(); }

    /// Whether it is time to tell. `complete`: no other completion is to come.
    bool due(std::chrono::nanoseconds now, bool complete) const {
        return deadline_ && (complete || now >= *deadline_);
    }
    /// None while nothing is held back.
    std::optional<std::chrono::nanoseconds> deadline() const { return deadline_; }

  private:
    std::optional<std::chrono::nanoseconds> deadline_;
};

}  // namespace exo::vmm
