#pragma once

#include "guest/boot/firmware.h"
#include "shared/boot/boot_info.h"

namespace exo::guest::uefi {

/// Notes the first sector and the size of the whole disk that the loader was read from, so that the kernel
/// can tell it among its disks. Leaves `disk` as it is when the loader did not come from one, or it cannot be
/// read.
void fingerprint_boot_disk(const Firmware& firmware, boot::BootDisk& disk);

}  // namespace exo::guest::uefi
