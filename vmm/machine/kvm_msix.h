#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/base/event_fd.h"
#include "vmm/kvm/msi_routes.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/msix.h"

namespace exo::vmm {

/// MSI-X of one device by irqfds, whose routes follow the guest's MSI-X table.
class KvmMsix final : public MsixBackend {
  public:
    /// @param broken  called when KVM refuses a route, with the reason
    static Result<std::unique_ptr<KvmMsix>> create(Vm& vm, MsiRoutes& routes, unsigned vectors,
                                                   std::function<void(const Error&)> broken);

    void route(unsigned vector, const std::optional<MsiMessage>& message) override;
    void deliver(unsigned vector) override { vectors_[vector].event.signal(); }

  private:
    struct Vector {
        std::uint32_t gsi;
        EventFd event;
    };
    KvmMsix(MsiRoutes& routes, std::vector<Vector> vectors, std::function<void(const Error&)> broken)
        : routes_(routes), vectors_(std::move(vectors)), broken_(std::move(broken)) {}

    MsiRoutes& routes_;
    std::vector<Vector> vectors_;
    std::function<void(const Error&)> broken_;
};

}  // namespace exo::vmm
