#pragma once

#include <memory>

#include "vmm/devices/virtio_pci.h"
#include "vmm/devices/virtio_rng.h"
#include "vmm/machine/attached_device.h"
#include "vmm/machine/virtio_function.h"

namespace exo::vmm {

/// The machine's virtio entropy device.
class EntropyDevice {
  public:
    static Result<std::unique_ptr<EntropyDevice>> create(const AttachedDevice::Host& host,
                                                         const GuestMemory& memory) {
        std::unique_ptr<EntropyDevice> made(new EntropyDevice);
        auto transport = VirtioPci::create(memory, made->device_);
        if (!transport) return std::unexpected(transport.error());
        made->transport_ = std::move(*transport);
        const PciDeviceSpec spec = virtio_spec("entropy", made->device_, *made->transport_);
        auto attached = AttachedDevice::create(host, *made->transport_, spec, virtio_doorbells,
                                               std::chrono::nanoseconds(0));
        if (!attached) return std::unexpected(attached.error());
        made->attached_ = std::move(*attached);
        return made;
    }

    AttachedDevice& attached() { return *attached_; }

  private:
    EntropyDevice() = default;

    VirtioRng device_;
    std::unique_ptr<VirtioPci> transport_;
    std::unique_ptr<AttachedDevice> attached_;
};

}  // namespace exo::vmm
