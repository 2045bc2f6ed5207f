#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace exo::vmm::tune {

/// A line of the guest's `blk bench --json`.
struct BenchResult {
    std::string mode;
    std::uint64_t rate = 0;
    std::uint64_t depth = 0;
    std::uint64_t jobs = 0;
    std::uint64_t operations = 0;
    std::uint64_t elapsed_ns = 0;
    std::uint64_t cpu_ns = 0;  ///< of the guest's threads
    std::uint64_t p50_ns = 0;
    std::uint64_t p99_ns = 0;
    std::string error;  ///< why it ended too early; empty when it did not
};

/// What a queue's controller knows, by a line of `blk stats --json`. 0 where it does not know yet.
struct Knowledge {
    std::uint64_t service_ns = 0;             ///< D: the device's time for a request
    std::uint64_t interrupt_overhead_ns = 0;  ///< W: from the device's end to the waiter
    std::uint64_t polling_overhead_ns = 0;    ///< the same when it polls
    std::uint64_t interrupt_cpu_ns = 0;       ///< guest CPU time an operation
    std::uint64_t polling_cpu_ns = 0;         ///< the same, less the spinning
};

/// What a line of the guest's console says; nothing when it is none of these, whatever else it is.
using BenchOutput = std::variant<std::monostate, BenchResult, Knowledge>;
BenchOutput parse_bench_output(std::string_view line);

}  // namespace exo::vmm::tune
