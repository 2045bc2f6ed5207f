#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/kernel/error.h"

namespace exo::guest {
// The scheduler's; the facade only carries pointers to them.
class SchedulerCpu;
class Thread;
}  // namespace exo::guest

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
/// The clock: monotonic nanoseconds, the same on every processor, as TimeSource counts them.
std::uint64_t now_ns();

/// The largest number of processors that are used; more stay off.
inline constexpr unsigned maximum_cpus = 64;

/// Processors in use: 1 until `start_other_cpus`, then it stays as it is. They are numbered without gaps.
unsigned cpu_count();

/// What each processor has for itself; the pointers are null until the scheduler sets them. Who writes to it
/// has interrupts off and is on that processor.
struct CpuLocal {
    CpuLocal* self = nullptr;  ///< on x86_64 GS's base points here, so that the block is found by one load
    unsigned number = 0;
    Thread* current_thread = nullptr;
    void* heap_cache = nullptr;  ///< of the current thread
    SchedulerCpu* scheduler = nullptr;
};

/// The block of processor `cpu`, below `cpu_count()`.
CpuLocal& cpu_local(unsigned cpu);

// Inline on x86_64, each a single load, which no interrupt divides, and which the compiler never keeps over a
// context switch.
#if __STDC_HOSTED__
#define EXO_ARCH_INLINE
#else
#define EXO_ARCH_INLINE inline
#endif

/// Number of the processor this runs on, 0 for the one that booted. Only with interrupts off, or in a thread
/// that may not move, is it still so when the caller looks at it.
EXO_ARCH_INLINE unsigned current_cpu();

/// The block of the processor this runs on; what `current_cpu` says of moving holds here too.
EXO_ARCH_INLINE CpuLocal& cpu_local();

/// These two of the block are the thread's own, wherever it runs, so they may be asked for at any time.
EXO_ARCH_INLINE Thread* current_thread();
EXO_ARCH_INLINE void* current_heap_cache();

#undef EXO_ARCH_INLINE

/// Starts every other processor of the machine (at most `maximum_cpus` in all). Each calls `entry(cpu)` on a
/// stack of its own, with interrupts off, its timer disarmed and its CpuLocal in place; `entry` never
/// returns. Called once, by CPU 0 with interrupts on. A processor that does not come up is told of by `warn`
/// and left out. Afterwards `cpu_count()` counts those that came up; each of them has called `entry`, or is
/// about to.
void start_other_cpus(void (*entry)(unsigned cpu));

/// Interrupts another processor, or this one: `wait_for_interrupt` returns there, and the interrupt-exit hook
/// runs there. From any context; never blocks. Several before the first arrives may arrive as one.
void interrupt_cpu(unsigned cpu);

/// The interrupt-exit hook: called with interrupts off on the interrupted thread's stack, at the end of each
/// interrupt of a device, the timer or another processor, when it has been acknowledged. It may switch to
/// another thread: the interrupted one goes on where it was when it is switched back to. Not called for
/// exceptions, nor for an interrupt that came while a handler ran. nullptr, as at first, for none; one hook
/// for all processors.
using InterruptExitHook = void (*)();
void set_interrupt_exit_hook(InterruptExitHook hook);

/// One-shot timer of this processor: an interrupt comes when the clock (monotonic nanoseconds as TimeSource
/// counts them) has reached the deadline, at once when it has already. Replaces what was set before;
/// `no_deadline` disarms. Nothing else ticks: without a deadline there is no timer interrupt. It may come too
/// early (a countdown that cannot go so far), so the hook looks at the clock. Independent of the deadline
/// that `wait_for_interrupt` is given: the earlier of the two arms the hardware. Interrupts are off.
void set_timer(std::uint64_t deadline_ns);

/// Runs `function(context)` on processor `cpu` (another one, or this) as an interrupt handler there, and
/// returns when it has returned: what it wrote is seen here. Interrupts are off or on; while it waits, it
/// answers other processors' calls, so that two that call each other do not hang. Not with a lock held that
/// the other processor may be spinning for with interrupts off.
void call_on_cpu(unsigned cpu, void (*function)(void* context), void* context);

/// A range of the kernel's addresses.
struct AddressRange {
    std::uintptr_t start = 0;
    std::size_t size = 0;
};

/// Shoot-down: no processor uses a translation of the range that was cached before the call, once it has
/// returned. Change the page tables first. Same rule for locks as for `call_on_cpu`.
void flush_tlb_everywhere(AddressRange range);

/// A stack of at least `size` bytes with nothing mapped below it, so that an overflow faults. Its span, top
/// at the end, both ends multiples of 4096. The content is not cleared.
Result<std::span<std::byte>> allocate_guarded_stack(std::size_t size);
/// Gives one back; nobody runs on it any more.
void release_guarded_stack(std::span<std::byte> stack);

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

/// Stops every other processor for good, wherever it is, for a panic or the machine's end; returns when they
/// have stopped, or do not answer.
void stop_other_cpus();
/// The code address at which `stop_other_cpus` found a processor; 0 when it did not stop.
std::uintptr_t stopped_at(unsigned cpu);

/// Stops this processor for good.
[[noreturn]] void halt();
/// Makes the processor reset itself, the last means to restart a machine.
[[noreturn]] void triple_fault();

}  // namespace exo::guest::arch

#if !__STDC_HOSTED__
#include "guest/arch/x86_64/cpu_local.h"
#endif
