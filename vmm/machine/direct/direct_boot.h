#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "vmm/base/error.h"
#include "vmm/base/guest_memory.h"
#include "vmm/kvm/cpu_start.h"
#include "vmm/machine/acpi/tables.h"
#include "vmm/machine/direct/direct_kernel.h"
#include "vmm/machine/layout.h"

namespace exo::vmm {

struct DirectBoot {
    const DirectKernel& kernel;
    std::span<const std::byte> initrd;  ///< empty for none
    std::string command_line;
    layout::RamSplit ram;
    acpi::Files acpi;
};

/// Puts kernel, initrd, command line, memory map and ACPI tables into the guest's memory, which is all zero
/// yet, and tells how the first vCPU starts. Refuses what does not fit.
Result<CpuStart> load_directly(const DirectBoot& boot, const GuestMemory& memory);

}  // namespace exo::vmm
