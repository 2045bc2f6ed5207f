#pragma once

#include "guest/boot/firmware.h"
#include "guest/boot/kernel_image.h"

namespace exo::guest::uefi {

/// Builds the page tables the kernel starts on: its segments with their access rights, the direct map of all
/// RAM, and the loader's own image where it is, for the jump. `root` is the physical address of the top
/// table.
Status build_first_page_tables(const Firmware& firmware, const PlacedKernel& kernel, uint64_t& root);

}  // namespace exo::guest::uefi
