#include "vmm/machine/virtio_function.h"

#include "shared/platform/platform.h"

namespace exo::vmm {
namespace {

constexpr std::uint32_t class_scsi_storage = 0x01'00'00;  // what drivers and firmware know virtio disks by
constexpr std::uint32_t class_other = 0xff'00'00;

}  // namespace

PciDeviceSpec virtio_spec(std::string name, const VirtioDevice& device, VirtioPci& transport) {
    return {
        .name = std::move(name),
        .identity = {.vendor = virtio::pci_vendor,
                     .device = static_cast<std::uint16_t>(virtio::pci_device_base + device.type()),
                     .class_code = device.type() == virtio::type_block ? class_scsi_storage : class_other,
                     .revision = 1,
                     .subsystem_vendor = platform::subsystem_vendor,
                     .subsystem = platform::subsystem_exo_vmm},
        .bars = {{BarKind::memory32, VirtioPci::bar_size, &transport}},
        .msix = MsixPlacement{.vectors = transport.vector_count(),
                              .bar = 0,
                              .table_offset = VirtioPci::msix_table_offset,
                              .pending_offset = VirtioPci::msix_pending_offset},
        .capabilities = virtio_capabilities(device),
        .has_window = true,
    };
}

}  // namespace exo::vmm
