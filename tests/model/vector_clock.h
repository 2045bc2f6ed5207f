// Happens-before among the few threads of a scenario.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace exo::model {

inline constexpr std::size_t max_threads = 4;

/// For each thread, how much of it has happened before some moment of another one.
struct VectorClock {
    std::array<std::uint16_t, max_threads> at{};

    void join(const VectorClock& other) {
        for (std::size_t i = 0; i < max_threads; ++i) at[i] = std::max(at[i], other.at[i]);
    }
    /// Whether everything in `other` happened before this moment.
    bool covers(const VectorClock& other) const {
        return std::equal(at.begin(), at.end(), other.at.begin(),
                          [](auto mine, auto theirs) { return mine >= theirs; });
    }
    bool operator==(const VectorClock&) const = default;
};

}  // namespace exo::model
