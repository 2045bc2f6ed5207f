#pragma once

#include "guest/boot/elf.h"
#include "guest/boot/firmware.h"

namespace exo::guest::uefi {

/// The kernel placed in memory, not yet mapped.
struct PlacedKernel {
    elf::Image file;        ///< inside the loader's image
    elf::LoadPlan plan;     ///< of that file
    uint64_t physical = 0;  ///< where plan.size bytes lie, contiguous
};

/// Takes the ELF file from the section `.kernel` of the loader and copies its segments into fresh memory.
Status place_kernel(const Firmware& firmware, PlacedKernel& kernel);

}  // namespace exo::guest::uefi
