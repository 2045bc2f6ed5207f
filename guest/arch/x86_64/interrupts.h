#pragma once

#include <cstdint>

#include "guest/drivers/acpi/madt.h"
#include "guest/drivers/interrupt.h"

namespace exo::guest::arch {

/// Called while the interrupt is handled, interrupts off, on the stack that was interrupted.
using InterruptHandler = void (*)(void* context);

/// Finds the I/O APICs: those the MADT names, or without one the one at its usual address. `madt` may be
/// null.
void start_io_apics(const acpi::Madt* madt);
unsigned io_apic_count();

/// The interrupts of the machine, for drivers. Vectors are never given back.
InterruptSupply& interrupt_supply();

/// Has a handler called for every interrupt on a legacy line, beside counting it.
Result<void> handle_legacy_irq(unsigned line, InterruptHandler handler, void* context);

}  // namespace exo::guest::arch
