// Loads that are not one point: one that changes, and one after another from the disk's beginning.
#pragma once

#include <expected>
#include <string>

#include "tests/bench/hosted/runner.h"
#include "tests/sim/block/block_trace.h"

namespace exo::bench {

/// Six phases of device time and rate: no fixed mode is right for all of them. Prints and reports the mean of
/// their costs.
std::expected<void, std::string> run_varying_load(int device_cpu, Reporter& lines);

/// Small reads in order, one and 32 at once, as fast as it goes. Prints and reports the time of one.
std::expected<void, std::string> run_sequential_load(int device_cpu, Reporter& lines);

/// The requests of the changing load, as the device under the controller took them.
std::expected<sim::BlockTrace, std::string> record_varying_load(int device_cpu);

}  // namespace exo::bench
