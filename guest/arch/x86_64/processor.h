#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/arch/arch.h"
#include "guest/arch/x86_64/descriptor_tables.h"
#include "guest/memory/own_counter.h"

namespace exo::guest::arch {

/// A function that another processor is to run. It lies on the caller's stack.
struct CpuCall {
    void (*function)(void* context) = nullptr;
    void* context = nullptr;
    CpuCall* next = nullptr;
    std::atomic<bool> done = false;
};

/// How far a processor's time-stamp counter is ahead of CPU 0's, in ticks, and how exactly that is known.
struct TscSkew {
    std::int64_t ticks = 0;
    std::uint64_t uncertainty = 0;
};

/// All that the machine's side of the kernel keeps for one processor. Zeroed memory is one that is not in
/// use.
struct alignas(64) Processor : CpuLocal {
    std::uint32_t apic_id = 0;
    std::atomic<bool> runs = false;  ///< it has come up
    /// Where `stop_other_cpus` stopped it.
    std::atomic<std::uintptr_t> stopped_at = 0;

    DescriptorTables tables;
    std::span<std::byte> stack = {};

    /// KVM sets bit 0 when no end of interrupt need be told (MSR_KVM_PV_EOI_EN).
    std::uint32_t end_of_interrupt_unneeded = 0;
    unsigned interrupt_depth = 0;  ///< handlers that are running, one interrupted by the other
    std::atomic<CpuCall*> calls = nullptr;

    /// The time stamp that the timer is armed for, 0 when it is not.
    volatile std::uint64_t armed_for = 0;
    /// As `set_timer` was told, plus 1; 0 for none.
    std::uint64_t timer_deadline = 0;

    OwnCounter interrupts;
    OwnCounter ipis;
    OwnCounter idle_ticks;
    volatile std::uint64_t idle_since = 0;  ///< time stamp, 0 when it is not asleep
    TscSkew tsc_skew;
};
static_assert(offsetof(CpuLocal, self) == 0);

/// Those in use come first, by their numbers.
extern std::array<Processor, maximum_cpus> processors;

inline Processor& this_processor() {
    return static_cast<Processor&>(cpu_local());
}

}  // namespace exo::guest::arch
