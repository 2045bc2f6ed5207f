// All ways to wait over loads and device times: fixed modes, the controller, and their peers.
#pragma once

#include <expected>
#include <string>

#include "tests/bench/hosted/runner.h"

namespace exo::bench {

struct SweepOptions {
    bool quick = false;       ///< two disks, two rates
    bool explain = false;     ///< print what the controllers have seen
    std::string case_filter;  ///< part of a disk's name
    int device_cpu = 1;       ///< for the devices' threads
};

/// Prints a table for each disk, and gives the reporter cases for each disk and rate. False when the filter
/// names no disk.
std::expected<bool, std::string> run_sweep(const SweepOptions& options, Reporter& lines);

}  // namespace exo::bench
