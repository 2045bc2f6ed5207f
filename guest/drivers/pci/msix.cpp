#include "guest/drivers/pci/msix.h"

namespace exo::guest {
namespace {

constexpr std::uint8_t control_offset = 2;
constexpr std::uint8_t table_offset = 4;
constexpr std::uint16_t control_size_mask = 0x7ff;
constexpr std::uint16_t control_mask_all = 1u << 14;
constexpr std::uint16_t control_enable = 1u << 15;
constexpr std::uint32_t table_bar_mask = 7;

constexpr std::uint64_t entry_size = 16;
constexpr std::uint64_t entry_address = 0;
constexpr std::uint64_t entry_data = 8;
constexpr std::uint64_t entry_control = 12;
constexpr std::uint32_t entry_masked = 1;

}  // namespace

Result<MsixTable> MsixTable::create(PciFunction& function, RegisterSpace& space) {
    const auto capability = function.find_capability(pci_capability::msix);
    if (!capability || *capability > 0xff - table_offset - 3)
        return fail("cannot use MSI-X", "the device has no such capability");
    const std::uint16_t control = function.read16(static_cast<std::uint8_t>(*capability + control_offset));
    const std::uint32_t where = function.read32(static_cast<std::uint8_t>(*capability + table_offset));
    const unsigned size = (control & control_size_mask) + 1u;
    auto table = function.map_bar(space, where & table_bar_mask, where & ~table_bar_mask, size * entry_size);
    if (!table) return std::unexpected(table.error());
    MsixTable msix(function, *capability, std::move(*table), size);
    for (unsigned index = 0; index < size; ++index) msix.mask(index);
    return msix;
}

void MsixTable::set(unsigned index, const MsiMessage& message) {
    const std::uint64_t entry = index * entry_size;
    // Masked while it changes: the device must never see half a message.
    mask(index);
    table_->write32(entry + entry_address, static_cast<std::uint32_t>(message.address));
    table_->write32(entry + entry_address + 4, static_cast<std::uint32_t>(message.address >> 32));
    table_->write32(entry + entry_data, message.data);
    table_->write32(entry + entry_control, 0);
}

void MsixTable::mask(unsigned index) {
    table_->write32(index * entry_size + entry_control, entry_masked);
}

void MsixTable::enable() {
    const auto at = static_cast<std::uint8_t>(capability_ + control_offset);
    const std::uint16_t control = function_.read16(at);
    function_.change_command(pci_command::interrupt_off);
    function_.write16(at, static_cast<std::uint16_t>((control | control_enable) & ~control_mask_all));
}

void MsixTable::disable() {
    const auto at = static_cast<std::uint8_t>(capability_ + control_offset);
    function_.write16(at, static_cast<std::uint16_t>(function_.read16(at) & ~control_enable));
}

}  // namespace exo::guest
