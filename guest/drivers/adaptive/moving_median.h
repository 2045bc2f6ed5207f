#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace exo::guest {

/// The median of the last samples; 0 before the first one. Unlike a mean it is not moved by the few that met
/// a thread which had lost its CPU: those take a hundred times as long and say nothing of what one costs.
class MovingMedian {
  public:
    static constexpr std::size_t window = 9;

    void add(std::uint32_t sample) {
        samples_[count_ % window] = sample;
        ++count_;
    }

    /// The lower one of two in the middle.
    std::uint32_t value() const {
        const std::size_t held = std::min<std::size_t>(count_, window);
        if (held == 0) return 0;
        auto sorted = samples_;
        const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>((held - 1) / 2);
        std::nth_element(sorted.begin(), middle, sorted.begin() + static_cast<std::ptrdiff_t>(held));
        return *middle;
    }

  private:
    std::array<std::uint32_t, window> samples_{};
    std::uint64_t count_ = 0;
};

}  // namespace exo::guest
