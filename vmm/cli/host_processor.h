#pragma once

#include <string>

namespace exo::vmm {

/// As the kernel calls it.
std::string processor_name();

/// Whether it is software, QEMU's TCG, whose virtualization works while its time means nothing.
bool processor_is_emulated();

}  // namespace exo::vmm
