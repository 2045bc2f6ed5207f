#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "guest/drivers/driver_services.h"

/// The arch facade over a Linux process, for unit tests.
///
/// A CPU is a host thread. Its interrupt flag is a lock: who has interrupts off holds it. A device's
/// interrupt is a function that another host thread runs under that lock, so it never runs while interrupts
/// are off, just as on the machine. Interrupts from CPUs and timers, and with them the interrupt-exit hook,
/// are taken at explicit points only: where interrupts are turned on, in `pause`, and where the CPU sleeps.
///
/// Threads of the guest move between host threads, so nothing here that depends on the host thread is inlined
/// into what calls it. A host thread that is no CPU counts as outside of CPU 0.
namespace exo::guest::arch::hosted {

/// A machine with so many CPUs: runs `boot` on this host thread, as CPU 0 with interrupts on, and returns
/// when `boot` and the entries of all CPUs it started have returned. One at a time.
void run_machine(unsigned cpus, const std::function<void()>& boot);

/// Runs `handler` as an interrupt of CPU 0, from any host thread: waits until interrupts are on there (or the
/// CPU sleeps in `wait_for_interrupt`), runs it, wakes the CPU.
void deliver_interrupt(void (*handler)(void*), void* context);

/// Time of the process, in nanoseconds of its steady clock.
class HostedTime final : public TimeSource {
  public:
    std::uint64_t now_ns() const override;
    void relax() override;
};

}  // namespace exo::guest::arch::hosted
