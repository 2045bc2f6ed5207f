// The bare round trip of one cache line between two CPUs: the bound that everything between CPUs is held
// against, and the sign that tells when the machine under us has moved the CPUs.
#pragma once

#include <cstdint>

#include "tests/bench/frame/case.h"

namespace exo::bench {

struct alignas(128) RoundTripLine {
    std::uint64_t turn = 0;
};

/// Both parties write the same line in turn. One operation is there and back: two transfers of the line.
inline Run run_line_round_trip(Stage& stage) {
    static constexpr std::uint64_t rounds = 2'000;
    RoundTripLine line;
    const auto wait_for = [](RoundTripLine& shared, std::uint64_t turn) {
        while (__atomic_load_n(&shared.turn, __ATOMIC_ACQUIRE) != turn) {
        }
    };
    static constexpr auto wait = wait_for;
    const std::uint64_t ticks = stage.run_together(
        [](void* context) {
            auto& shared = *static_cast<RoundTripLine*>(context);
            for (std::uint64_t i = 0; i < rounds; ++i) {
                __atomic_store_n(&shared.turn, 2 * i + 1, __ATOMIC_RELEASE);
                wait(shared, 2 * i + 2);
            }
        },
        [](void* context) {
            auto& shared = *static_cast<RoundTripLine*>(context);
            for (std::uint64_t i = 0; i < rounds; ++i) {
                wait(shared, 2 * i + 1);
                __atomic_store_n(&shared.turn, 2 * i + 2, __ATOMIC_RELEASE);
            }
        },
        &line);
    return {ticks, rounds, line.turn == 2 * rounds};
}

}  // namespace exo::bench
