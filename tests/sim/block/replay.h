#pragma once

#include <cstdint>
#include <vector>

#include "tests/sim/block/block_trace.h"
#include "tests/sim/block/replay_policy.h"

namespace exo::sim {

/// What the guest's side of a request costs on the machine that is asked about, in nanoseconds.
struct ReplayCosts {
    std::uint64_t operation_cpu = 300;         ///< to hand it over and to reap it
    std::uint64_t interrupt_cpu = 6'000;       ///< of one interrupt and the wake-up that follows
    std::uint64_t interrupt_latency = 10'000;  ///< from the device's end until the waiter runs
    std::uint64_t poll_latency = 300;          ///< the same when it polls
};

struct ReplayResult {
    std::vector<std::uint64_t> latencies;  ///< one a request, in their order, nanoseconds
    std::uint64_t cpu_ns = 0;              ///< all of the guest's, the spinning included
    std::uint64_t spin_ns = 0;
    std::uint64_t interrupts = 0;
    std::uint64_t switches = 0;

    std::uint64_t median_ns() const { return quantile_ns(500); }
    /// By nearest rank. @param parts of 1,000
    std::uint64_t quantile_ns(std::uint32_t parts) const;
    double cpu_per_operation_ns() const;
    /// Median latency + price × CPU time an operation.
    double cost(guest::CpuPrice price) const;
};

/// Sends a trace through a policy in virtual time: who would have learned when of the end of each request,
/// and for how much CPU time.
///
/// Requests come when they came, whatever the policy does, and take the device as long as they took. One CPU
/// waits for all of them: while one polls it sees the ends of all, and its spinning counts once. A device
/// that may gather ends tells of them when there are `batch`, when the first has waited `gather_ns`, when one
/// is urgent, or when it has nothing left to do.
ReplayResult replay(const BlockTrace& trace, ReplayPolicy& policy, const ReplayCosts& costs);

}  // namespace exo::sim
