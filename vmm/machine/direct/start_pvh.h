#pragma once

#include "vmm/base/error.h"
#include "vmm/kvm/cpu_start.h"
#include "vmm/machine/direct/direct_kernel.h"
#include "vmm/machine/direct/handover.h"
#include "vmm/machine/direct/top_of_memory.h"

namespace exo::vmm {

/// Loads the kernel at its physical addresses, which must lie below `top`, and writes its start info.
Result<CpuStart> start_pvh(const PvhKernel& kernel, const Handover& handover, TopOfMemory& top,
                           const GuestMemory& memory);

}  // namespace exo::vmm
