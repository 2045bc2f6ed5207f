#pragma once

#include <cstdint>

#include "guest/drivers/adaptive/duration_histogram.h"
#include "guest/drivers/adaptive/io_mode.h"

namespace exo::guest {

/// What the choice of a mode depends on, as seen on one queue. All of it is measured on the machine at hand.
struct Observation {
    std::uint64_t rate = 0;           ///< operations that ended, a second
    std::uint32_t depth = 1;          ///< requests in the device at once, the mean while there are any
    std::uint32_t runnable = 0;       ///< threads that could use this CPU now, the waiting one not counted
    std::uint32_t told_together = 1;  ///< operations that one interrupt tells of, without being asked to
    std::uint32_t interrupt_overhead_ns = 0;  ///< from the device's end to the waiter, by interrupt
    std::uint32_t polling_overhead_ns = 0;    ///< the same when it polls
    /// CPU time of an operation that an interrupt tells of alone: doorbell, interrupt, wake-up.
    std::uint32_t interrupt_cpu_ns = 0;
    std::uint32_t polling_cpu_ns = 0;  ///< CPU time an operation costs when it is polled, less the spinning
    std::uint32_t timer_cpu_ns = 0;    ///< CPU time of a sleep by the timer; 0: there is no such sleep
};

/// What a nanosecond of CPU time is worth in nanoseconds of latency, in thousandths. The user sets it: 100
/// for who wants latency, 10,000 for who wants the CPU for other things.
struct CpuPrice {
    std::uint32_t thousandths = 1000;
};

/// Means an operation.
struct IoCost {
    std::uint64_t latency_ns = 0;
    std::uint64_t cpu_ns = 0;
};

/// CPU time of each of several operations that share an interrupt.
/// @param alone_ns  what an interrupt for one operation costs
/// @param own_ns    the part of it that cannot be shared: what it costs without interrupt
std::uint64_t shared_cpu_ns(std::uint64_t alone_ns, std::uint64_t own_ns, std::uint32_t together);

/// Latency and CPU time an operation that a plan would have, if requests took as long as `service` says.
IoCost predict(const Observation& seen, const DurationHistogram& service, const IoPlan& plan);

/// One figure to compare plans by: latency + price × CPU time. Each other runnable thread waits for every
/// nanosecond that this one spins, so the CPU is worth one more for each of them.
std::uint64_t weigh(const IoCost& cost, const Observation& seen, CpuPrice price);

/// The plan of least cost. Interrupt and polling are the ends of one scale, the poll budget: 0 and without
/// limit; hybrid is what lies between. Batching is weighed where several requests are under way.
IoPlan cheapest_plan(const Observation& seen, const DurationHistogram& service, CpuPrice price,
                     IoModeSet modes = IoModeSet::all());

}  // namespace exo::guest
