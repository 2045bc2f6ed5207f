#pragma once

#include <string>

namespace exo::vmm {

/// The program's version, and the linker's build id: what one build leaves behind, another one does not take.
std::string version_and_build();

}  // namespace exo::vmm
