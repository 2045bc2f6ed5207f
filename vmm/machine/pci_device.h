#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmm/machine/msix.h"
#include "vmm/machine/pci_function.h"

namespace exo::vmm {

/// Where a device keeps its MSI-X structures. They take whole pages of that BAR, so that the rest can be
/// mapped apart from them.
struct MsixPlacement {
    unsigned vectors;
    unsigned bar;
    std::uint32_t table_offset;
    std::uint32_t pending_offset;
};

/// A vendor-specific capability: what follows its id and link.
using VendorCapability = std::vector<std::uint8_t>;

struct PciDeviceSpec {
    std::string name;
    PciIdentity identity;
    std::vector<PciBar> bars;  ///< in order; a memory64 takes two registers
    std::optional<MsixPlacement> msix;
    std::vector<VendorCapability> capabilities = {};
    /// The last capability is a window into the BARs through configuration space, as virtio has it (Virtual
    /// I/O Device 1.2, 4.1.4.9).
    bool has_window = false;
};

/// A device of the machine as a PCI function: a header, BARs led to the device's register handlers, and MSI-X
/// answered here, so that the device itself knows only its registers and its interrupt lines.
class PciDevice final : public PciFunction {
  public:
    explicit PciDevice(const PciDeviceSpec& spec);
    ~PciDevice() override;

    /// Null when the device has none.
    Msix* msix() { return msix_.get(); }
    /// For the device model. `vector` < vectors of the placement.
    InterruptLine& interrupt(unsigned vector) { return msix_->line(vector); }

  private:
    class MsixBar;

    void config_written(unsigned offset, unsigned size) override;
    void config_read(unsigned offset, unsigned size) override;
    void exchange_more(StateArchive& archive) override {
        if (msix_) msix_->exchange_state(archive);
    }
    void add_msix(const MsixPlacement& placement, unsigned bar_register);
    void add_window(unsigned capability);
    bool is_window(unsigned offset, unsigned size) const;
    /// What the window shows now, when the guest has pointed it at something.
    struct Window;
    std::optional<Window> window() const;

    std::unique_ptr<Msix> msix_;
    std::unique_ptr<MsixBar> msix_bar_;
    unsigned msix_capability_ = 0;
    unsigned window_ = 0;  ///< offset of that capability, 0 for none
};

/// What shared/block/protocol.h says of the device's PCI side.
/// @param registers  answers the whole BAR but the MSI-X pages
/// @param vectors    one per queue is enough
PciDeviceSpec fusion_blk_spec(std::string name, IoHandler& registers, unsigned vectors);

}  // namespace exo::vmm
