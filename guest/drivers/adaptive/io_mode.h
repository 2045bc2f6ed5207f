#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

namespace exo::guest {

/// How the end of a disk request is learned of.
enum class IoMode : std::uint8_t {
    interrupt,  ///< sleep until the device interrupts
    polling,    ///< look at the device until it is done
    hybrid,     ///< poll for a budget, perhaps after a first sleep, then sleep until the interrupt
    batch,      ///< hand over and be told of many at once
};
inline constexpr unsigned io_mode_count = 4;
std::string_view describe(IoMode mode);

inline constexpr std::uint32_t no_poll_limit = std::numeric_limits<std::uint32_t>::max();

/// A mode with its parameters: what a waiter does, and what the driver tells the device in its control line.
struct IoPlan {
    IoMode mode = IoMode::interrupt;
    std::uint32_t poll_budget_ns = 0;  ///< how long to poll before sleeping; no_poll_limit: until it is done
    std::uint32_t first_sleep_ns = 0;  ///< how long to sleep by the timer before polling
    std::uint32_t batch = 1;           ///< ends to be told of at once

    friend bool operator==(const IoPlan&, const IoPlan&) = default;
};

/// The modes as they are when nobody tunes them.
constexpr IoPlan fixed_plan(IoMode mode) {
    switch (mode) {
        case IoMode::interrupt:
            return {};
        case IoMode::polling:
            return {.mode = mode, .poll_budget_ns = no_poll_limit};
        case IoMode::hybrid:
            return {.mode = mode, .poll_budget_ns = 5'000};
        case IoMode::batch:
            return {.mode = mode, .batch = 32};
    }
    return {};
}

}  // namespace exo::guest
