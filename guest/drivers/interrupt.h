#pragma once

#include <cstdint>

#include "guest/kernel/error.h"

namespace exo::guest {

/// A source of interrupts as a driver sees it: a counter, and a way to sleep until the counter moves.
///
/// Nothing is lost when a driver reads `count()`, then looks at its device, and only then waits with the
/// count it read: an interrupt that came in between ends the wait at once.
class Interrupt {
  public:
    virtual ~Interrupt() = default;
    /// Interrupts seen so far.
    virtual std::uint64_t count() const = 0;
    /// Sleeps until `count() != seen` or the clock has reached `deadline_ns`. False when the deadline passed
    /// without an interrupt.
    virtual bool wait(std::uint64_t seen, std::uint64_t deadline_ns) = 0;
    /// When the latest one was handled, as `TimeSource::timestamp` counts; 0 where that is not known.
    virtual std::uint64_t last_timestamp() const { return 0; }
};

/// What a device writes where to raise a message-signalled interrupt.
struct MsiMessage {
    std::uint64_t address;
    std::uint32_t data;
};

/// An interrupt that a device raises by a memory write.
struct MsiInterrupt {
    Interrupt* interrupt;  ///< lives as long as the kernel
    MsiMessage message;
};

/// Hands out interrupts; the arch facade implements it.
class InterruptSupply {
  public:
    virtual ~InterruptSupply() = default;
    /// An interrupt of its own, handled on processor `cpu`. Whoever waits for it may do so on any.
    virtual Result<MsiInterrupt> allocate_msi(unsigned cpu) = 0;
    /// An edge-triggered line of the legacy controllers (ISA IRQ number, 0 to 15), unmasked, handled on
    /// processor 0. Asking twice for one line gives the same Interrupt.
    virtual Result<Interrupt*> legacy_irq(unsigned line) = 0;
};

}  // namespace exo::guest
