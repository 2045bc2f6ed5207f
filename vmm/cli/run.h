#pragma once

#include <chrono>

#include "vmm/base/error.h"
#include "vmm/cli/options.h"

namespace exo::vmm {

/// Runs a guest to its end. Gives the status of the program (shared/platform/exit_status.h), or why nothing
/// ran.
/// @param process_start  when the program began, on SystemClock
Result<int> run(const RunOptions& options, std::chrono::nanoseconds process_start);

}  // namespace exo::vmm
