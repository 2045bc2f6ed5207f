#pragma once

#include <cmath>
#include <cstdint>

namespace exo::sim {

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers from the same seed, everywhere.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        std::uint64_t z = state_ += 0x9e37'79b9'7f4a'7c15;
        z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
        z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
        return z ^ (z >> 31);
    }
    /// In [0, limit).
    std::uint64_t below(std::uint64_t limit) { return next() % limit; }
    /// In [0, 1).
    double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
    double exponential(double mean) { return -mean * std::log1p(-uniform()); }

  private:
    std::uint64_t state_;
};

}  // namespace exo::sim
