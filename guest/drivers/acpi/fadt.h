#pragma once

#include <cstdint>
#include <optional>

#include "guest/drivers/acpi/tables.h"

namespace exo::guest::acpi {

/// A register as ACPI describes one (Generic Address Structure, 5.2.3.2).
struct GenericAddress {
    enum class Space : std::uint8_t { memory = 0, io = 1, pci_configuration = 2 };
    Space space = Space::io;
    std::uint64_t address = 0;
};

/// What the kernel uses of the Fixed ACPI Description Table (5.2.9).
struct Fadt {
    std::uint64_t dsdt = 0;                          ///< 0 when it names none
    std::optional<std::uint16_t> pm1a_control = {};  ///< ports
    std::optional<std::uint16_t> pm1b_control = {};
    std::optional<GenericAddress> pm_timer = {};
    bool pm_timer_32_bit = false;
    std::uint16_t smi_command = 0;  ///< port; 0 when the machine is in ACPI mode always
    std::uint8_t acpi_enable = 0;
    std::optional<GenericAddress> reset_register = {};
    std::uint8_t reset_value = 0;
    bool hardware_reduced = false;

    /// Fields that the table is too short for, or that make no sense, are left as if absent.
    static Fadt parse(const Table& table);
};

}  // namespace exo::guest::acpi
