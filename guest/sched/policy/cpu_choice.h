// Which CPU a thread that wakes up goes to, and which CPU an idle one steals from.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "guest/sched/policy/scheduled_thread.h"

namespace exo::guest {

/// One bit a CPU.
using CpuMask = std::uint64_t;
inline constexpr unsigned no_cpu = ~0U;

/// What a CPU tells the others about itself. Eight bytes, so that it is published as one atomic; to the
/// reader it is a hint, a moment old.
struct alignas(8) CpuLoad {
    std::uint16_t ready = 0;            ///< threads in its queue
    std::uint16_t ready_cold = 0;       ///< of these, cold
    std::uint8_t running_class = 0xff;  ///< of the running thread, 0xff when idle
    std::uint8_t running_bucket = 0;    ///< by its expected remaining burst (ReadyQueue::bucket_of)
    std::uint16_t reserved = 0;
};

inline constexpr unsigned full_affinity = 100;
inline constexpr unsigned other_cpu_affinity = 10;
inline constexpr unsigned preferred_affinity = 80;  ///< above, a thread stays where it was
inline constexpr Nanoseconds cache_warm_for = milliseconds(50);

/// How much of the thread's data a CPU's caches may still hold: 100 on the CPU where it ran in the last 50
/// ms, then one point less every millisecond down to 10; 10 on any other CPU.
constexpr unsigned affinity_score(const ScheduledThread& thread, unsigned cpu, Nanoseconds now) {
    if (thread.last_cpu != cpu) return other_cpu_affinity;
    const Nanoseconds away = now - std::min(now, thread.last_ran);
    if (away <= cache_warm_for) return full_affinity;
    const Nanoseconds lost = (away - cache_warm_for) / milliseconds(1);
    return full_affinity -
           static_cast<unsigned>(std::min<Nanoseconds>(lost, full_affinity - other_cpu_affinity));
}

/// The CPU to steal a thread from for `thief`, which is idle: the one with the most cold threads in its
/// queue, or, where nobody has any, with the most threads; no_cpu when nobody has a thread to give.
/// `load(cpu)` gives a CpuLoad.
template <class Loads>
unsigned choose_victim(unsigned thief, unsigned cpu_count, Loads&& load) {
    unsigned best = no_cpu;
    std::uint32_t most = 0;
    for (unsigned cpu = 0; cpu < cpu_count; ++cpu) {
        if (cpu == thief) continue;
        const CpuLoad its = load(cpu);
        const std::uint32_t worth = (std::uint32_t{its.ready_cold} << 16) + its.ready;
        if (worth > most) {
            most = worth;
            best = cpu;
        }
    }
    return best;
}

}  // namespace exo::guest
