#pragma once

#include <functional>
#include <memory>
#include <string>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/devices/device_thread.h"
#include "vmm/devices/queue_device.h"
#include "vmm/kvm/msi_routes.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/kvm_doorbells.h"
#include "vmm/machine/kvm_msix.h"
#include "vmm/machine/pci_device.h"

namespace exo::vmm {

/// A device with queues as part of the machine: its PCI function, its doorbells and interrupts in KVM, and
/// its I/O thread.
class AttachedDevice {
  public:
    /// What the device needs from the machine; all of it outlives the device.
    struct Host {
        Vm& vm;
        MsiRoutes& routes;
        const Clock& clock;
        Pollers& pollers;
        std::function<std::uint64_t()> guest_tsc;  ///< 0 while it is not known
        std::function<void(const Error&)> broken;  ///< KVM refused a route or doorbell while the guest ran
    };

    /// `device` outlives this, and `spec`'s BAR leads to it. `poll_cap` as for DeviceThread.
    static Result<std::unique_ptr<AttachedDevice>> create(const Host& host, QueueDevice& device,
                                                          const PciDeviceSpec& spec,
                                                          const DoorbellPlacement& doorbells,
                                                          std::optional<std::chrono::nanoseconds> poll_cap);

    PciFunction& function() { return *function_; }
    /// `first` as for DeviceThread.
    Result<void> start(std::function<void()> first) { return thread_->start(std::move(first)); }
    /// Returns when the device has no work under way any more.
    void stop() { thread_->stop(); }
    /// Likewise, but the device keeps its state; start() lets it go on.
    void pause() { thread_->pause(); }
    /// While it is paused or has not started.
    void exchange_state(StateArchive& archive) { device_->exchange_state(archive); }
    /// After stop().
    const PollCounters& polls() const { return thread_->polls(); }
    Msix::Counts interrupts() const { return function_->msix()->counts(); }

  private:
    AttachedDevice() = default;

    QueueDevice* device_ = nullptr;
    std::unique_ptr<PciDevice> function_;
    std::unique_ptr<KvmMsix> msix_;
    std::unique_ptr<KvmDoorbells> doorbells_;
    std::unique_ptr<DeviceThread> thread_;
};

}  // namespace exo::vmm
