#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "guest/drivers/driver_services.h"
#include "guest/drivers/pci/pci_config.h"
#include "guest/kernel/error.h"

namespace exo::guest {

/// Offsets in a configuration header (PCI Local Bus Specification 3.0, 6.1).
namespace pci_reg {
inline constexpr std::uint8_t vendor = 0x00;
inline constexpr std::uint8_t device = 0x02;
inline constexpr std::uint8_t command = 0x04;
inline constexpr std::uint8_t status = 0x06;
inline constexpr std::uint8_t revision = 0x08;
inline constexpr std::uint8_t interface = 0x09;
inline constexpr std::uint8_t subclass = 0x0a;
inline constexpr std::uint8_t class_code = 0x0b;
inline constexpr std::uint8_t header_type = 0x0e;
inline constexpr std::uint8_t bar0 = 0x10;
inline constexpr std::uint8_t secondary_bus = 0x19;
inline constexpr std::uint8_t subsystem_vendor = 0x2c;
inline constexpr std::uint8_t subsystem_device = 0x2e;
inline constexpr std::uint8_t capabilities = 0x34;
inline constexpr std::uint8_t interrupt_line = 0x3c;
}  // namespace pci_reg

namespace pci_command {
inline constexpr std::uint16_t io = 1u << 0;
inline constexpr std::uint16_t memory = 1u << 1;
inline constexpr std::uint16_t bus_master = 1u << 2;
inline constexpr std::uint16_t interrupt_off = 1u << 10;  ///< no INTx
}  // namespace pci_command

namespace pci_capability {
inline constexpr std::uint8_t vendor_specific = 0x09;
inline constexpr std::uint8_t msix = 0x11;
}  // namespace pci_capability

/// A range of memory or ports that a function decodes. Size 0: not there.
struct PciBar {
    bool ports = false;
    std::uint64_t address = 0;
    std::uint64_t size = 0;
};

/// One PCI function: its identity, BARs and capabilities. Believes nothing that the configuration space says
/// beyond what it can check.
class PciFunction {
  public:
    static constexpr unsigned bar_count = 6;

    PciFunction(PciConfig& config, PciAddress address) : config_(&config), address_(address) {}

    PciAddress address() const { return address_; }
    std::uint16_t vendor() const { return read16(pci_reg::vendor); }
    std::uint16_t device() const { return read16(pci_reg::device); }
    std::uint8_t class_code() const { return read8(pci_reg::class_code); }
    std::uint8_t subclass() const { return read8(pci_reg::subclass); }
    std::uint8_t interface() const { return read8(pci_reg::interface); }

    std::uint8_t read8(std::uint8_t offset) const { return config_->read8(address_, offset); }
    std::uint16_t read16(std::uint8_t offset) const { return config_->read16(address_, offset); }
    std::uint32_t read32(std::uint8_t offset) const { return config_->read32(address_, offset); }
    void write16(std::uint8_t offset, std::uint16_t value) { config_->write16(address_, offset, value); }
    void write32(std::uint8_t offset, std::uint32_t value) { config_->write32(address_, offset, value); }

    /// Sets and clears bits of the command register.
    void change_command(std::uint16_t set, std::uint16_t clear = 0);

    /// Where a BAR lies and how large it is. Finding the size switches decoding off for a moment, so the
    /// function must be at rest.
    PciBar bar(unsigned index);
    /// Makes `size` bytes from `offset` of a BAR reachable and decoding on. An error when the BAR is absent,
    /// has no address, or is smaller.
    Result<std::unique_ptr<Registers>> map_bar(RegisterSpace& space, unsigned index, std::uint64_t offset,
                                               std::uint64_t size);

    /// The first capability with this id after `previous` (0: from the start): its offset, or nothing. Ends
    /// also on a list that runs in a circle or out of the header.
    std::optional<std::uint8_t> find_capability(std::uint8_t id, std::uint8_t previous = 0) const;

  private:
    PciConfig* config_;
    PciAddress address_;
};

}  // namespace exo::guest
