#pragma once

#include <string>

#include "vmm/tune/step_recorder.h"

namespace exo::vmm::tune {

/// A step whose figures are given, at 1000 operations a second.
inline MeasuredStep measured(const Way& way, const Load& load, double p50_ns, double host_cpu_ns) {
    return {{way, load, Step::Kind::measured},
            {.p50_ns = p50_ns,
             .p99_ns = 2 * p50_ns,
             .guest_cpu_ns = host_cpu_ns / 2,
             .host_cpu_ns = host_cpu_ns,
             .rate = 1'000}};
}

/// The line that a guest prints after a step of 1000 operations in one second.
inline std::string bench_line(const Step& step, const std::string& error = "") {
    return fmt::format(
        R"({{"disk":"disk0","mode":"{}","rw":"randread","bs":4096,"depth":{},"jobs":{},"rate":{},)"
        R"("operations":1000,"elapsed_ns":1000000000,"iops":1000,"cpu_ns":3000000,"mean_ns":9000,)"
        R"("p50_ns":8000,"p99_ns":20000,"error":"{}"}})",
        step.way.mode, step.load.depth, step.load.jobs, step.load.rate, error);
}

}  // namespace exo::vmm::tune
