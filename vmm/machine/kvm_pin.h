#pragma once

#include "vmm/kvm/vm.h"
#include "vmm/machine/level_line.h"

namespace exo::vmm {

/// A pin of the kernel's PIC and IOAPIC.
class KvmPin final : public LevelLine {
  public:
    KvmPin(Vm& vm, std::uint32_t gsi) : vm_(vm), gsi_(gsi) {}
    void set(bool asserted) override { vm_.set_pin(gsi_, asserted); }

  private:
    Vm& vm_;
    std::uint32_t gsi_;
};

}  // namespace exo::vmm
