#pragma once

#include "tests/unit/devices/guest_side.h"
#include "vmm/devices/virtio_device.h"
#include "vmm/devices/virtio_pci.h"

namespace exo::test {

/// What PCI shows of a virtio device.
inline DeviceFace face_of(const vmm::VirtioDevice& device) {
    return {.vendor = vmm::virtio::pci_vendor,
            .device = static_cast<std::uint16_t>(vmm::virtio::pci_device_base + device.type()),
            .bar_size = vmm::VirtioPci::bar_size,
            .msix_table = vmm::VirtioPci::msix_table_offset,
            .msix_pending = vmm::VirtioPci::msix_pending_offset,
            .vendor_capabilities = vmm::virtio_capabilities(device)};
}

}  // namespace exo::test
