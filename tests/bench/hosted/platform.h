// What machine a figure was taken on.
#pragma once

#include <string>

namespace exo::bench {

/// The processor's name, how many CPUs this process has, and under which hypervisor, if any.
std::string describe_processor();

/// Work that other processes want done at this moment: the load average of the last minute.
double load_average();

}  // namespace exo::bench
