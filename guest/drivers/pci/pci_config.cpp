#include "guest/drivers/pci/pci_config.h"

#include "guest/kernel/format.h"

namespace exo::guest {
namespace {

constexpr std::uint64_t address_port = 0;
constexpr std::uint64_t data_port = 4;
constexpr std::uint32_t enable = 1u << 31;

}  // namespace

void format_value(TextSink& sink, const PciAddress& address) {
    format(sink, "{:02x}:{:02x}.{}", address.bus, address.device, address.function);
}

std::uint16_t PciConfig::read16(PciAddress address, std::uint8_t offset) {
    const std::uint32_t word = read32(address, offset & 0xfc);
    return static_cast<std::uint16_t>(word >> (offset & 2) * 8);
}

std::uint8_t PciConfig::read8(PciAddress address, std::uint8_t offset) {
    const std::uint32_t word = read32(address, offset & 0xfc);
    return static_cast<std::uint8_t>(word >> (offset & 3) * 8);
}

void PciPortConfig::select(PciAddress address, std::uint8_t offset) {
    ports_.write32(address_port, enable | std::uint32_t{address.bus} << 16 |
                                     std::uint32_t{address.device} << 11 |
                                     std::uint32_t{address.function} << 8 | (offset & 0xfcu));
}

std::uint32_t PciPortConfig::read32(PciAddress address, std::uint8_t offset) {
    const Locked guard(lock_);
    select(address, offset);
    return ports_.read32(data_port);
}

void PciPortConfig::write32(PciAddress address, std::uint8_t offset, std::uint32_t value) {
    const Locked guard(lock_);
    select(address, offset);
    ports_.write32(data_port, value);
}

void PciPortConfig::write16(PciAddress address, std::uint8_t offset, std::uint16_t value) {
    const Locked guard(lock_);
    select(address, offset);
    ports_.write16(data_port + (offset & 2), value);
}

}  // namespace exo::guest
