#pragma once

#include <cstdint>
#include <optional>

#include "guest/drivers/acpi/madt.h"
#include "guest/drivers/registers.h"

namespace exo::guest {

/// An I/O APIC (Intel 82093AA): hands interrupt lines to processors as vectors.
class IoApic {
  public:
    /// Looks at the registers and masks every line. Nothing when what is there is no I/O APIC.
    static std::optional<IoApic> probe(Registers& registers, std::uint32_t first_interrupt);

    /// The global interrupts that it serves.
    bool serves(std::uint32_t interrupt) const { return interrupt - first_ < lines_; }
    unsigned lines() const { return lines_; }

    /// Sends a line, unmasked, to a processor. `route.global_interrupt` is one that it serves.
    void connect(const acpi::InterruptRoute& route, std::uint8_t vector, std::uint8_t apic_id);

  private:
    IoApic(Registers& registers, std::uint32_t first, unsigned lines)
        : registers_(&registers), first_(first), lines_(lines) {}
    std::uint32_t read(std::uint8_t index);
    void write(std::uint8_t index, std::uint32_t value);

    Registers* registers_;
    std::uint32_t first_;
    unsigned lines_;
};

}  // namespace exo::guest
