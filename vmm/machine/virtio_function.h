#pragma once

#include <string>

#include "vmm/devices/virtio_pci.h"
#include "vmm/machine/kvm_doorbells.h"
#include "vmm/machine/pci_device.h"

namespace exo::vmm {

inline constexpr DoorbellPlacement virtio_doorbells{.bar = 0, .offset = VirtioPci::notify_offset, .size = 2};
static_assert(VirtioPci::notify_multiplier == 4, "what KvmDoorbells does");

/// A virtio device as PCI shows it: modern only, MSI-X only.
/// @param transport  answers the whole BAR but the MSI-X pages
PciDeviceSpec virtio_spec(std::string name, const VirtioDevice& device, VirtioPci& transport);

}  // namespace exo::vmm
