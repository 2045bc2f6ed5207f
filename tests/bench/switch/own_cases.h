// The switch's own variants, of which several translation units register those compiled with their flags.
#pragma once

#include "guest/sched/switch/classic_context.h"
#include "guest/sched/switch/full_context.h"
#include "guest/sched/switch/windowed_context.h"
#include "tests/bench/switch/patterns.h"

namespace exo::bench {

inline constexpr std::uint64_t fast_rounds = 20'000;
inline constexpr std::uint64_t slow_rounds = 500;
inline constexpr std::uint64_t ring_laps = 500;

template <class Context, class Flags, std::uint64_t rounds = fast_rounds>
constexpr std::array<Case, 4> switch_cases(const char* variant, Side side) {
    constexpr std::uint64_t laps = rounds == fast_rounds ? ring_laps : 10;
    return {{
        {"switch", "two contexts", variant, per_switch, PingPong<Context, Flags, rounds>::run, side, 1},
        {"switch", "64 contexts, coloured", variant, per_switch,
         Ring<Context, Flags, Placement::coloured, laps>::run, side, 1},
        {"switch", "64 contexts, not coloured", variant, per_switch,
         Ring<Context, Flags, Placement::same_offset, laps>::run, side, 1},
        {"switch", "two contexts, 8 live values", variant, per_switch,
         LiveValues<Context, Flags, rounds>::run, side, 1},
    }};
}

}  // namespace exo::bench
