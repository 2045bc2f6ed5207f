#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace exo::guest::acpi {

/// What to write into the PM1 control registers for a sleep state.
struct SleepType {
    std::uint8_t pm1a = 0;  ///< 0 to 7
    std::uint8_t pm1b = 0;
};

/// Finds the package `\_S5_` (soft off) in the AML of a DSDT or SSDT, header included, without an
/// interpreter: firmware writes it as a name with a package of constants (20.2.5.1, 20.2.5.4), and that exact
/// shape is looked for.
std::optional<SleepType> find_soft_off(std::span<const std::byte> aml);

}  // namespace exo::guest::acpi
