#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "guest/drivers/acpi/tables.h"

namespace exo::guest::acpi {

/// Where an interrupt of the ISA bus arrives (MADT interrupt source override).
struct InterruptRoute {
    std::uint32_t global_interrupt = 0;
    bool active_low = false;
    bool level_triggered = false;
};

/// An I/O APIC and the first global interrupt that it serves.
struct IoApicEntry {
    std::uint32_t address = 0;  ///< physical
    std::uint32_t first_interrupt = 0;
};

/// What the kernel uses of the Multiple APIC Description Table (5.2.12).
struct Madt {
    static constexpr std::size_t max_cpus = 256;
    static constexpr std::size_t max_io_apics = 8;
    static constexpr std::size_t isa_lines = 16;

    std::uint64_t local_apic_address = 0;
    std::array<std::uint32_t, max_cpus> apic_ids = {};  ///< of the processors that are enabled
    std::size_t cpu_count = 0;
    std::array<IoApicEntry, max_io_apics> io_apics = {};
    std::size_t io_apic_count = 0;
    std::array<InterruptRoute, isa_lines> isa = {};  ///< one to one, edge, high where nothing else is said

    /// Reads to the end of the table, or to an entry that makes no sense.
    static Madt parse(const Table& table);
};

}  // namespace exo::guest::acpi
