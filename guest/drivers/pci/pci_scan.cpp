#include "guest/drivers/pci/pci_scan.h"

#include <bitset>

#include "guest/drivers/pci/pci_function.h"

namespace exo::guest {
namespace {

constexpr std::uint8_t multifunction = 0x80;
constexpr std::uint8_t bridge_header = 1;
constexpr std::uint16_t absent = 0xffff;

class Scan {
  public:
    Scan(PciConfig& config, std::span<PciAddress> found) : config_(config), found_(found) {}

    /// Buses come from the bridges' registers, so each is visited once, whatever these say; without
    /// recursion, so that a chain of bridges cannot eat the stack.
    std::size_t run() {
        wanted_.set(0);
        for (bool more = true; more;) {
            more = false;
            for (unsigned bus = 0; bus < wanted_.size(); ++bus) {
                if (!wanted_.test(bus) || visited_.test(bus)) continue;
                visited_.set(bus);
                visit_bus(static_cast<std::uint8_t>(bus));
                more = true;
            }
        }
        return count_;
    }

  private:
    void visit_bus(std::uint8_t bus) {
        for (std::uint8_t device = 0; device < 32; ++device) {
            if (!visit({bus, device, 0})) continue;
            if ((config_.read8({bus, device, 0}, pci_reg::header_type) & multifunction) == 0) continue;
            for (std::uint8_t function = 1; function < 8; ++function) visit({bus, device, function});
        }
    }

    bool visit(PciAddress address) {
        if (config_.read16(address, pci_reg::vendor) == absent) return false;
        if (count_ < found_.size()) found_[count_] = address;
        ++count_;
        const std::uint8_t header = config_.read8(address, pci_reg::header_type);
        if ((header & ~multifunction) == bridge_header)
            wanted_.set(config_.read8(address, pci_reg::secondary_bus));
        return true;
    }

    PciConfig& config_;
    std::span<PciAddress> found_;
    std::size_t count_ = 0;
    std::bitset<256> wanted_;
    std::bitset<256> visited_;
};

}  // namespace

std::size_t pci_scan(PciConfig& config, std::span<PciAddress> found) {
    return Scan(config, found).run();
}

}  // namespace exo::guest
