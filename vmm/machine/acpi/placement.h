#pragma once

#include <cstddef>
#include <vector>

#include "vmm/base/guest_memory.h"
#include "vmm/machine/acpi/tables.h"

namespace exo::vmm::acpi {

/// Bytes that `place` needs for these files.
std::size_t placed_size(const Files& files);

/// The files as they lie in guest memory from `start` (a multiple of 64) on, the RSDP first: what firmware
/// makes of them by the commands of the loader file, for a guest that is started without firmware.
std::vector<std::byte> place(const Files& files, GuestAddress start);

}  // namespace exo::vmm::acpi
