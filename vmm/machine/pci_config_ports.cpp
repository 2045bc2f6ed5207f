#include "vmm/machine/pci_config_ports.h"

#include "vmm/machine/io_value.h"
#include "vmm/machine/layout.h"

namespace exo::vmm {

namespace {

constexpr std::uint64_t reset_offset = layout::reset_control_port - layout::pci_config_port;
constexpr std::uint64_t data_offset = 4;

constexpr std::uint32_t address_enable = 0x8000'0000;
constexpr std::uint32_t address_bits = 0x80ff'fffc;
/// Bit 1 chooses a hard reset, bit 2 carries it out (PIIX4, 4.2.6).
constexpr std::uint8_t reset_hard = 1u << 1;
constexpr std::uint8_t reset_now = 1u << 2;

struct ConfigAddress {
    unsigned bus;
    layout::PciSlot slot;
    unsigned offset;
};

ConfigAddress decode(std::uint32_t address, std::uint64_t byte) {
    return {
        (address >> 16) & 0xff,
        {static_cast<std::uint8_t>((address >> 11) & 0x1f), static_cast<std::uint8_t>((address >> 8) & 7)},
        (address & 0xfc) + static_cast<unsigned>(byte)};
}

bool is_data(std::uint64_t offset, std::size_t size) {
    return offset >= data_offset && offset - data_offset + size <= 4;
}

}  // namespace

void PciConfigPorts::read(std::uint64_t offset, std::span<std::byte> data) {
    put_ones(data);
    const std::uint32_t address = address_;
    if (offset == 0 && data.size() == 4) {
        put_value(data, address);
    } else if (offset == reset_offset && data.size() == 1) {
        put_value(data, reset_control_);
    } else if (is_data(offset, data.size()) && (address & address_enable)) {
        const ConfigAddress at = decode(address, offset - data_offset);
        put_value(data, bus_.read_config(at.bus, at.slot, at.offset, static_cast<unsigned>(data.size())));
    }
}

void PciConfigPorts::write(std::uint64_t offset, std::span<const std::byte> data) {
    const auto value = static_cast<std::uint32_t>(value_of(data));
    const std::uint32_t address = address_;
    if (offset == 0 && data.size() == 4) {
        address_ = value & address_bits;
    } else if (offset == reset_offset && data.size() == 1) {
        reset_control_ = value & reset_hard;
        if (value & reset_now) events_.reset_requested();
    } else if (is_data(offset, data.size()) && (address & address_enable)) {
        const ConfigAddress at = decode(address, offset - data_offset);
        bus_.write_config(at.bus, at.slot, at.offset, static_cast<unsigned>(data.size()), value);
    }
}

}  // namespace exo::vmm
