#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "vmm/machine/io_bus.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/pci_function.h"

namespace exo::vmm {

/// The functions of bus 0, and where their BARs answer.
///
/// What is mapped follows from the configuration alone, whatever the order of writes: slot by slot, register
/// by register, a BAR is mapped when its decode is on, it lies wholly inside a PCI window of its kind, and no
/// BAR before it is there already. So a guest can put a BAR on RAM, on the flash or on another BAR, and
/// nothing is hidden but that BAR.
class PciBus {
  public:
    PciBus(IoBus& ports, IoBus& memory, const layout::PciWindows& windows);

    /// Before the guest runs. The slot must be free, and the function outlive the bus.
    void add(layout::PciSlot slot, PciFunction& function);

    /// In slot order; `visit(PciSlot, PciFunction&)` may access configuration space.
    template <typename Visit>
    void for_each_function(Visit visit) const {
        for (std::uint8_t device = 0; device < functions_.size(); ++device)
            for (std::uint8_t number = 0; number < functions_[device].size(); ++number)
                if (PciFunction* const function = functions_[device][number])
                    visit(layout::PciSlot{device, number}, *function);
    }

    /// `size` is 1, 2 or 4, within one dword. Absent functions read as all ones.
    std::uint32_t read_config(unsigned bus, layout::PciSlot slot, unsigned offset, unsigned size);
    void write_config(unsigned bus, layout::PciSlot slot, unsigned offset, unsigned size,
                      std::uint32_t value);

    /// Saves or loads all functions, and puts the BARs to where they are. While the guest does not run.
    void exchange_state(StateArchive& archive);

    /// Where a BAR answers now.
    std::optional<AddressRange> mapped(layout::PciSlot slot, unsigned bar) const;

  private:
    struct Bar {
        layout::PciSlot slot;
        unsigned index;
        PciFunction* function;
        IoBus* bus;
        IoBus::RangeId range;
        std::optional<AddressRange> mapped;
    };

    PciFunction* function_at(unsigned bus, layout::PciSlot slot) const;
    bool in_window(BarKind kind, const AddressRange& where) const;
    std::vector<std::optional<AddressRange>> decode() const;
    void remap();

    IoBus& ports_;
    IoBus& memory_;
    layout::PciWindows windows_;
    mutable std::mutex mutex_;
    std::array<std::array<PciFunction*, 8>, 32> functions_{};
    std::vector<Bar> bars_;  ///< in slot and register order
};

}  // namespace exo::vmm
