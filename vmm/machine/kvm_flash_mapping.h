#pragma once

#include <functional>

#include "vmm/kvm/vm.h"
#include "vmm/machine/variable_flash.h"

namespace exo::vmm {

/// Flash as a read-only memory slot, which is taken away while reads shall come to the model.
class KvmFlashMapping final : public FlashMapping {
  public:
    /// @param failed  called on the vCPU's thread when KVM refuses
    KvmFlashMapping(Vm& vm, const MemorySlot& slot, std::function<void(const Error&)> failed)
        : vm_(vm), slot_(slot), failed_(std::move(failed)) {}

    void show_array(bool visible) override;

  private:
    Vm& vm_;
    MemorySlot slot_;
    std::function<void(const Error&)> failed_;
};

}  // namespace exo::vmm
