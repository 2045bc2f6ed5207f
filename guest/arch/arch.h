#pragma once

#include <cstddef>
#include <cstdint>

/// What the rest of the kernel needs from the processor it runs on. x86_64/ implements it on the machine,
/// hosted/ over a Linux process: there a CPU is a thread, and an interrupt is a call from another thread (see
/// hosted/hosted.h).
namespace exo::guest::arch {

/// One turn of a polling loop.
void pause();

/// The time-stamp counter. Ticks at `timestamp_frequency()`.
std::uint64_t timestamp();
/// Ticks a second, as calibrated at start-up.
std::uint64_t timestamp_frequency();

/// Number of the processor this runs on, 0 for the one that booted.
unsigned current_cpu();

bool interrupts_enabled();
void enable_interrupts();
void disable_interrupts();

/// Called with interrupts off: turns them on and sleeps until an interrupt has been handled, or the clock has
/// reached the deadline (monotonic nanoseconds as TimeSource counts them); then turns them off again. No
/// interrupt is missed in between, so a condition set by a handler is safely awaited by
///
///     InterruptGuard guard;
///     while (!condition) wait_for_interrupt(deadline_ns);
void wait_for_interrupt(std::uint64_t deadline_ns);

/// A deadline that never comes.
inline constexpr std::uint64_t no_deadline = ~std::uint64_t{0};

/// Keeps interrupts off while it lives, then puts them back as they were.
class InterruptGuard {
  public:
    InterruptGuard() : were_enabled_(interrupts_enabled()) { disable_interrupts(); }
    ~InterruptGuard() {
        if (were_enabled_) enable_interrupts();
    }
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;

  private:
    bool were_enabled_;
};

/// The kernel's view of physical memory (RAM only) at a guest-physical address.
std::byte* memory_at(std::uint64_t physical);

/// Whether the 8 bytes at an 8-aligned address can be read without a fault. For a backtrace, which may meet
/// any value.
bool is_readable(std::uintptr_t address);

/// Stops this processor for good.
[[noreturn]] void halt();
/// Makes the processor reset itself, the last means to restart a machine.
[[noreturn]] void triple_fault();

}  // namespace exo::guest::arch
