#pragma once

#include <cstdint>
#include <memory>

#include "guest/drivers/driver_services.h"

/// The arch facade over a Linux process, for unit tests.
///
/// One processor's interrupt flag is a lock: who has interrupts off holds it. An interrupt is a function that
/// another thread runs under that lock, so it never runs while interrupts are off, just as on the machine.
namespace exo::guest::arch::hosted {

/// Runs `handler` as an interrupt of the processor, from any thread: waits until interrupts are on (or the
/// processor sleeps in `wait_for_interrupt`), runs it, wakes the processor.
void deliver_interrupt(void (*handler)(void*), void* context);

/// Time of the process, in nanoseconds of its steady clock.
class HostedTime final : public TimeSource {
  public:
    std::uint64_t now_ns() const override;
    void relax() override;
};

}  // namespace exo::guest::arch::hosted
