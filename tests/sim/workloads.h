// The workloads that policies are compared on.
#pragma once

#include <vector>

#include "tests/sim/workload.h"

namespace exo::sim {

/// People and services: bursts of 0.6 to 5.2 ms, the same thread's within half of its mean.
inline Group interactive(unsigned threads, Nanoseconds pause = guest::milliseconds(30)) {
    return {"interactive", threads, around(guest::microseconds(1'800)), exponential(pause), 2.9};
}

inline Group hogs(unsigned threads) {
    return {.name = "hog", .threads = threads, .burst = {}, .pause = {}, .hog = true};
}

inline std::vector<Workload> standard_workloads() {
    using guest::microseconds;
    using guest::milliseconds;
    return {
        {"8-interactive-4-hogs", 1, {interactive(8), hogs(4)}},
        {"two-cpus-16-16", 2, {interactive(16), hogs(16)}},
        {"mixed-30ms-medium",
         1,
         {interactive(8, milliseconds(50)),
          {"medium", 3, around(milliseconds(30)), exponential(milliseconds(300)), 1},
          hogs(2)}},
        {"all-short", 1, {{"short", 32, around(milliseconds(2)), exponential(milliseconds(95)), 2.9}}},
        {"all-short-unpredictable",
         1,
         {{"short", 32, exponential(milliseconds(3)), exponential(milliseconds(105)), 1}}},
        {"0.2ms-against-8ms",
         1,
         {{"0.2 ms", 8, around(microseconds(200)), exponential(milliseconds(5)), 1},
          {"8 ms", 6, around(milliseconds(8)), exponential(milliseconds(85)), 1}}},
    };
}

}  // namespace exo::sim
