#pragma once

#include "vmm/machine/pci_function.h"

namespace exo::vmm {

/// PCI function 00:00.0: an 82441FX, by whose device id OVMF chooses its platform code, and by whose
/// subsystem id our guest recognises our VMM.
class HostBridge final : public PciFunction {
  public:
    HostBridge();
};

/// PCI function 00:01.0: a PIIX3's ISA bridge, under which firmware looks for COM1. Its interrupt steering
/// registers keep what the firmware writes; nothing is steered, for PCI pins go straight to the IOAPIC.
class IsaBridge final : public PciFunction {
  public:
    IsaBridge();
};

}  // namespace exo::vmm
