#pragma once

#include <cstdint>
#include <memory>

#include "guest/drivers/interrupt.h"
#include "guest/drivers/pci/pci_function.h"
#include "guest/kernel/error.h"

namespace exo::guest {

/// A function's MSI-X table (PCI Local Bus Specification 3.0, 6.8.2). Interrupts are off until `enable`.
class MsixTable {
  public:
    /// An error when the function has no MSI-X, or a table that lies outside of its BAR.
    static Result<MsixTable> create(PciFunction& function, RegisterSpace& space);

    unsigned size() const { return size_; }
    /// Lets vector `index` (below `size()`) raise the message.
    void set(unsigned index, const MsiMessage& message);
    void mask(unsigned index);
    /// From here on the function interrupts by MSI-X, and no longer by its pin.
    void enable();
    void disable();

  private:
    MsixTable(PciFunction function, std::uint8_t capability, std::unique_ptr<Registers> table, unsigned size)
        : function_(function), capability_(capability), table_(std::move(table)), size_(size) {}

    PciFunction function_;
    std::uint8_t capability_;
    std::unique_ptr<Registers> table_;
    unsigned size_;
};

}  // namespace exo::guest
