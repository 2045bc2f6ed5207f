#pragma once

#include "vmm/base/error.h"
#include "vmm/kvm/cpu_start.h"
#include "vmm/machine/direct/direct_kernel.h"
#include "vmm/machine/direct/handover.h"

namespace exo::vmm {

/// Loads the kernel between 1 MiB and `end`, and writes its zero page and first page tables.
Result<CpuStart> start_linux(const LinuxKernel& kernel, const Handover& handover, std::uint64_t end,
                             const GuestMemory& memory);

}  // namespace exo::vmm
