#pragma once

#include <cstdint>
#include <string_view>

namespace exo::guest::arch {

/// What is known of one processor, a moment old.
struct CpuReport {
    std::uint32_t apic_id = 0;
    std::string_view state;        ///< "busy" or "asleep"
    std::uint64_t interrupts = 0;  ///< handled so far, those from other processors included
    std::uint64_t ipis = 0;        ///< of them, from processors
    std::uint64_t idle_ns = 0;     ///< slept in wait_for_interrupt
    std::string_view timer;        ///< kind of its one-shot timer
    /// How far its time-stamp counter was ahead of processor 0's when it came up, and half the round trip by
    /// which that was measured.
    std::int64_t tsc_skew_ns = 0;
    std::uint64_t tsc_skew_error_ns = 0;
};

/// Of processor `cpu`, below `cpu_count()`.
CpuReport cpu_report(unsigned cpu);

/// Processors that the machine has, in use or not.
unsigned machine_cpu_count();

}  // namespace exo::guest::arch
