#pragma once

#include <cstdint>

namespace exo::block {

/// A moving mean, each sample an eighth; 0 before the first one. A sample of 0 counts as 1.
class MovingMean {
  public:
    void add(std::uint32_t sample) {
        const std::int64_t scaled = std::int64_t{sample == 0 ? 1u : sample} * fraction;
        mean_ = mean_ == 0 ? scaled : mean_ + (scaled - mean_) / 8;
    }
    std::uint32_t value() const { return static_cast<std::uint32_t>(mean_ / fraction); }

  private:
    static constexpr std::int64_t fraction = 16;  // of a unit, so that small differences do not stall
    std::int64_t mean_ = 0;
};

}  // namespace exo::block
