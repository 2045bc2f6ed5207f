#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/sched/policy/prediction.h"

namespace exo::guest {

/// By the length of CPU burst that is expected of a thread: each class has a queue of its own.
enum class ThreadClass : std::uint8_t { hot, normal, cold };
inline constexpr std::size_t thread_class_count = 3;

inline constexpr Nanoseconds hot_edge = milliseconds(10);    ///< hot is below
inline constexpr Nanoseconds cold_edge = milliseconds(100);  ///< cold is from here on

constexpr ThreadClass class_of(Nanoseconds expected_burst) {
    if (expected_burst < hot_edge) return ThreadClass::hot;
    return expected_burst < cold_edge ? ThreadClass::normal : ThreadClass::cold;
}

/// What the one who made a thread believes about it. Its bursts count for a quarter or for four times their
/// length, so that a hint moves a thread but never hides a hog.
enum class PriorityHint : std::uint8_t { high, normal, low };

constexpr Nanoseconds weigh(Nanoseconds burst, PriorityHint hint) {
    switch (hint) {
        case PriorityHint::high:
            return burst / 4;
        case PriorityHint::low:
            return burst * 4;
        case PriorityHint::normal:
            break;
    }
    return burst;
}

}  // namespace exo::guest
