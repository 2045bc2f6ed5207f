#pragma once

#include <string>

#include "vmm/base/error.h"
#include "vmm/cli/options.h"

namespace exo::vmm {

/// Runs the sweep in guests on this host, and writes --json. Gives the report, for a person.
Result<std::string> tune_here(const TuneOptions& options);

}  // namespace exo::vmm
