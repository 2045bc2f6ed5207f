#pragma once

#include <algorithm>
#include <cstdint>

namespace exo::guest {

/// How long to look before going to sleep, where the other side may be at work on another CPU: about twice as
/// long as it took of late, and hardly at all where it never was in time (as glibc's adaptive mutexes).
class PollBudget {
  public:
    static constexpr std::uint32_t most = 128;
    static constexpr std::uint32_t least = 8;

    /// Whether `ready` came true in time. `relax` is one turn of a polling loop.
    template <class Ready, class Relax>
    bool poll(Ready ready, Relax relax) {
        const std::uint32_t turns = std::min(most, 2 * expected_ + least);
        for (std::uint32_t turn = 0; turn < turns; ++turn) {
            if (ready()) {
                expected_ = (7 * expected_ + turn) / 8;
                return true;
            }
            relax();
        }
        expected_ -= (expected_ + 7) / 8;
        return false;
    }

  private:
    std::uint32_t expected_ = most / 2;
};

}  // namespace exo::guest
