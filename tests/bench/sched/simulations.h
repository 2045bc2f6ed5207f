// The policies in virtual time: this project's, the fair peers and the oracle on the standard workloads.
#pragma once

#include <string_view>

#include "tests/bench/hosted/runner.h"

namespace exo::bench {

/// Simulates the workloads whose name contains the filter, five seeds each, prints the table, and gives the
/// reporter one case for every workload and figure. Whether there was any.
bool run_simulations(std::string_view case_filter, Reporter& lines);

}  // namespace exo::bench
