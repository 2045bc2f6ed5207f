#pragma once

#include "guest/boot/firmware.h"
#include "shared/boot/boot_info.h"

namespace exo::guest::uefi {

/// Asks the firmware for the processors that it has enabled: where there is no ACPI, nobody else can tell.
void list_processors(const Firmware& firmware, boot::BootCpus& cpus);

}  // namespace exo::guest::uefi
