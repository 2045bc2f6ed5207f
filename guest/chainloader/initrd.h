#pragma once

#include "guest/boot/firmware.h"

namespace exo::guest::uefi {

/// Offers the initial RAM disk, if there is one, as Linux's EFI stub looks for it: LoadFile2 at the vendor
/// media path LINUX_EFI_INITRD_MEDIA_GUID (Linux, Documentation/arch/x86/boot.rst; 5.7 and later).
Status offer_initrd(const Firmware& firmware);

}  // namespace exo::guest::uefi
