#pragma once

#include <functional>
#include <span>
#include <vector>

#include "vmm/kvm/vm.h"
#include "vmm/machine/pci_function.h"

namespace exo::vmm {

/// Where a device has its doorbells: register q, `size` bytes wide, at `offset` + 4 q of BAR `bar`.
struct DoorbellPlacement {
    unsigned bar;
    std::uint64_t offset;
    std::uint32_t size;
};

/// Doorbells of one device by ioeventfds that follow its BAR.
class KvmDoorbells final : public BarListener {
  public:
    /// @param events  one per doorbell; they outlive this
    /// @param broken  called when KVM refuses a doorbell, with the reason
    KvmDoorbells(Vm& vm, const DoorbellPlacement& placement, std::vector<int> events,
                 std::function<void(const Error&)> broken)
        : vm_(vm), placement_(placement), events_(std::move(events)), broken_(std::move(broken)) {}

    void bar_mapped(unsigned bar, AddressRange where) override;
    void bar_unmapped(unsigned bar, AddressRange where) override;

  private:
    Doorbell doorbell(std::size_t queue, AddressRange where) const;

    Vm& vm_;
    DoorbellPlacement placement_;
    std::vector<int> events_;
    std::function<void(const Error&)> broken_;
};

}  // namespace exo::vmm
