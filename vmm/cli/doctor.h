#pragma once

#include <string>

namespace exo::vmm {

struct Diagnosis {
    std::string text;      ///< for a person, one finding a line
    bool healthy = false;  ///< `vmm run` would work
};

/// Looks at what `vmm run` needs of this host, and tells what is missing and the command that repairs it.
Diagnosis examine_host();

}  // namespace exo::vmm
