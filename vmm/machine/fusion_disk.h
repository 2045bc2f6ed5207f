#pragma once

#include <functional>
#include <memory>
#include <string>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/guest_memory.h"
#include "vmm/devices/disk_thread.h"
#include "vmm/devices/fusion_blk.h"
#include "vmm/kvm/msi_routes.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/kvm_doorbells.h"
#include "vmm/machine/kvm_msix.h"
#include "vmm/machine/machine_report.h"
#include "vmm/machine/pci_device.h"

namespace exo::vmm {

/// A fusion-blk device of the machine: its PCI function, its doorbells and interrupts in KVM, and its I/O
/// thread.
class FusionDisk {
  public:
    /// What the device needs from the machine; all of it outlives the device.
    struct Host {
        Vm& vm;
        MsiRoutes& routes;
        const GuestMemory& memory;
        const Clock& clock;
        std::function<void(const Error&)> broken;  ///< KVM refused a route or doorbell while the guest ran
    };

    /// @param name    of the disk, for people: the file's
    /// @param index   of the disk in the machine
    /// @param queues  queue pairs, each with an interrupt vector
    static Result<std::unique_ptr<FusionDisk>> create(const Host& host, Disk& disk, const std::string& name,
                                                      unsigned index, unsigned queues);

    PciFunction& function() { return *function_; }
    Result<void> start() { return thread_->start(); }
    /// Returns when no request is in the disk any more.
    void stop() { thread_->stop(); }
    DiskReport report() const;

  private:
    FusionDisk() = default;

    std::string name_;
    std::unique_ptr<FusionBlk> device_;
    std::unique_ptr<PciDevice> function_;
    std::unique_ptr<KvmMsix> msix_;
    std::unique_ptr<KvmDoorbells> doorbells_;
    std::unique_ptr<DiskThread> thread_;
};

}  // namespace exo::vmm
