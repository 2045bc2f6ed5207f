// How long one who polls a ring looks away.
#pragma once

#include <algorithm>
#include <cstdint>

namespace exo::fusion {

/// For a side that polls while the other one works on another CPU, instead of a bare pause between two looks.
/// Who works close behind the other side touches lines that it is still at, and each message then costs both
/// a transfer or two of its line. So a side that has caught up looks away for as long as its run deserves:
/// the other one gets ahead, and the next run streams. One message at a time, as in a request and its answer,
/// costs nothing: the next look comes after one pause.
///
/// Not for a side that goes to sleep when it finds nothing, nor where both sides share a CPU.
class BackOff {
  public:
    static constexpr std::uint32_t pauses_per_message = 8;
    /// About 2 µs where a pause takes 40 cycles.
    static constexpr std::uint32_t most_pauses = 100;

    /// So many messages were sent or received; 0 changes nothing.
    void moved(std::uint32_t messages) {
        run_ = std::min(run_, most_pauses) + std::min(messages, most_pauses);
    }

    /// There was nothing to receive, or no room to send. `pause` is one turn of a polling loop.
    template <class Pause>
    void wait(Pause pause) {
        const std::uint32_t pauses = run_ < 2 ? 1 : std::min(run_ * pauses_per_message, most_pauses);
        run_ = 0;
        for (std::uint32_t i = 0; i < pauses; ++i) pause();
    }

  private:
    std::uint32_t run_ = 0;  // messages since the last wait
};

}  // namespace exo::fusion
