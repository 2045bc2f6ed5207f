#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string_view>

// The build says what drivers do at first (CMake option EXO_ADAPTIVE_DRIVERS).
#ifndef EXO_ADAPTIVE_DRIVERS
#define EXO_ADAPTIVE_DRIVERS 1
#endif

namespace exo::guest {

inline constexpr bool adaptive_drivers_built = EXO_ADAPTIVE_DRIVERS != 0;

/// How the end of a disk request is learned of.
enum class IoMode : std::uint8_t {
    interrupt,  ///< sleep until the device interrupts
    polling,    ///< look at the device until it is done
    hybrid,     ///< poll for a budget, perhaps after a first sleep, then sleep until the interrupt
    batch,      ///< hand over and be told of many at once
};
inline constexpr unsigned io_mode_count = 4;
std::string_view describe(IoMode mode);
/// The mode of that name; nothing when there is none.
std::optional<IoMode> io_mode_named(std::string_view name);

/// Modes that a device can be driven in.
class IoModeSet {
  public:
    constexpr IoModeSet(std::initializer_list<IoMode> modes) {
        for (const IoMode mode : modes) bits_ |= bit(mode);
    }
    static constexpr IoModeSet all() {
        return {IoMode::interrupt, IoMode::polling, IoMode::hybrid, IoMode::batch};
    }
    constexpr bool has(IoMode mode) const { return (bits_ & bit(mode)) != 0; }
    constexpr IoModeSet without(IoMode mode) const {
        IoModeSet rest = *this;
        rest.bits_ &= ~bit(mode);
        return rest;
    }

  private:
    static constexpr unsigned bit(IoMode mode) { return 1u << static_cast<unsigned>(mode); }
    unsigned bits_ = 0;
};

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
