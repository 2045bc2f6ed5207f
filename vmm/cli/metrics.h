#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "vmm/base/error.h"
#include "vmm/machine/machine.h"

namespace exo::vmm {

/// What one `vmm run` did, for --metrics.
struct RunMetrics {
    int status = 0;
    std::string end;  ///< why the run ended, one word
    unsigned restarts = 0;
    std::chrono::nanoseconds process_start{};  ///< on the clock of the machine's timeline, like the next two
    BootTimeline::Time inputs_read;
    std::string firmware = "none";    ///< how it came to be done: "cold", "warm" or "none"
    BootTimeline::Time machine_made;  ///< memory, kernel, devices and vCPUs are in place
    std::uint64_t private_kib = 0;    ///< of the VMM, without guest memory and firmware
    MachineReport report;             ///< of the last machine
};

/// The JSON document; README.md of vmm/ describes its fields.
std::string metrics_json(const RunMetrics& metrics);

/// Writes the document, a regular file at once and whole.
Result<void> write_metrics(const std::string& path, const RunMetrics& metrics);

}  // namespace exo::vmm
