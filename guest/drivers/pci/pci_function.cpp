#include "guest/drivers/pci/pci_function.h"

namespace exo::guest {
namespace {

constexpr std::uint32_t all_ones = 0xffff'ffff;
constexpr std::uint32_t bar_is_ports = 1u << 0;
constexpr std::uint32_t bar_kind_mask = 3u << 1;
constexpr std::uint32_t bar_kind_64 = 2u << 1;
constexpr std::uint32_t port_mask = ~std::uint32_t{3};
constexpr std::uint32_t memory_mask = ~std::uint32_t{15};
constexpr std::uint16_t status_has_capabilities = 1u << 4;
constexpr std::uint8_t first_capability = 0x40;
/// No more fit behind the header, four bytes each.
constexpr int max_capabilities = (256 - first_capability) / 4;

std::uint64_t lowest_bit(std::uint64_t value) {
    return value & (~value + 1);
}

}  // namespace

void PciFunction::change_command(std::uint16_t set, std::uint16_t clear) {
    const std::uint16_t before = read16(pci_reg::command);
    write16(pci_reg::command, static_cast<std::uint16_t>((before | set) & ~clear));
}

PciBar PciFunction::bar(unsigned index) {
    const bool bridge = (read8(pci_reg::header_type) & 0x7f) != 0;
    if (index >= (bridge ? 2 : bar_count)) return {};
    const auto offset = static_cast<std::uint8_t>(pci_reg::bar0 + index * 4);
    const std::uint32_t low = read32(offset);
    const bool ports = (low & bar_is_ports) != 0;
    const bool wide = !ports && (low & bar_kind_mask) == bar_kind_64 && index + 1 < bar_count;
    const auto upper = static_cast<std::uint8_t>(offset + 4);
    const std::uint32_t high = wide ? read32(upper) : 0;

    const std::uint16_t command = read16(pci_reg::command);
    write16(pci_reg::command, static_cast<std::uint16_t>(command & ~(pci_command::io | pci_command::memory)));
    write32(offset, all_ones);
    std::uint64_t writable = read32(offset) & (ports ? port_mask : memory_mask);
    write32(offset, low);
    if (wide) {
        write32(upper, all_ones);
        writable |= std::uint64_t{read32(upper)} << 32;
        write32(upper, high);
    }
    write16(pci_reg::command, command);

    PciBar found;
    found.ports = ports;
    found.address = (std::uint64_t{high} << 32) | (low & (ports ? port_mask : memory_mask));
    found.size = lowest_bit(writable);
    return found;
}

Result<std::unique_ptr<Registers>> PciFunction::map_bar(RegisterSpace& space, unsigned index,
                                                        std::uint64_t offset, std::uint64_t size) {
    constexpr std::string_view what = "cannot reach the registers of a PCI device";
    const PciBar range = bar(index);
    if (range.size == 0) return fail(what, "the BAR that it names is not there");
    if (range.address == 0 || range.address > ~std::uint64_t{0} - range.size)
        return fail(what, "the firmware gave its BAR no usable address");
    if (size == 0 || offset > range.size || size > range.size - offset)
        return fail(what, "its registers do not fit in the BAR that it names");
    if (range.ports) {
        if (range.address + range.size > 0x10000) return fail(what, "its ports lie above 65535");
        change_command(pci_command::io);
        return space.map_ports(static_cast<std::uint16_t>(range.address + offset),
                               static_cast<std::uint16_t>(size));
    }
    change_command(pci_command::memory);
    return space.map_memory(range.address + offset, size);
}

std::optional<std::uint8_t> PciFunction::find_capability(std::uint8_t id, std::uint8_t previous) const {
    if ((read16(pci_reg::status) & status_has_capabilities) == 0) return std::nullopt;
    std::uint8_t at = read8(pci_reg::capabilities) & 0xfc;
    bool past_previous = previous == 0;
    for (int seen = 0; seen < max_capabilities && at >= first_capability; ++seen) {
        if (past_previous && read8(at) == id) return at;
        if (at == previous) past_previous = true;
        at = read8(static_cast<std::uint8_t>(at + 1)) & 0xfc;
    }
    return std::nullopt;
}

}  // namespace exo::guest
