#pragma once

#include "vmm/machine/pci_bus.h"

namespace exo::vmm {

/// What firmware does to the platform before a kernel runs, for machines without one: every BAR gets an
/// address and is turned on, and power management answers at its ports.
void set_up_without_firmware(PciBus& pci, IoBus& ports, const layout::PciWindows& windows);

}  // namespace exo::vmm
