#include "vmm/machine/pci_function.h"

#include <utility>

namespace exo::vmm {

namespace {

constexpr std::uint32_t io_bar_flags = 1;
constexpr std::uint32_t memory64_bar_flags = 4;

constexpr unsigned bar_register(unsigned index) {
    return pci::bar0 + 4 * index;
}

}  // namespace

PciFunction::PciFunction(std::string name, const PciIdentity& identity) : name_(std::move(name)) {
    config_.set(pci::vendor_id, 4, identity.vendor | std::uint32_t{identity.device} << 16);
    config_.set(pci::revision, 4, identity.revision | identity.class_code << 8);
    config_.set(pci::subsystem_vendor, 4,
                identity.subsystem_vendor | std::uint32_t{identity.subsystem} << 16);
    config_.allow(pci::command, 2,
                  pci::command_io | pci::command_memory | pci::command_master | pci::command_system_error |
                      pci::command_no_pin);
    config_.allow(pci::cache_line, 2, 0xffff);  // and the latency timer
    config_.allow(pci::interrupt_line, 1, 0xff);
}

std::uint32_t PciFunction::read_config(unsigned offset, unsigned size) {
    config_read(offset, size);
    return config_.read(offset, size);
}

void PciFunction::write_config(unsigned offset, unsigned size, std::uint32_t value) {
    config_.write(offset, size, value);
    config_written(offset, size);
}

void PciFunction::exchange_state(StateArchive& archive) {
    config_.exchange_state(archive);
    if (archive.loading()) config_written(pci::command, 2);
    exchange_more(archive);
}

void PciFunction::add_bar(unsigned index, const PciBar& bar) {
    bars_.at(index) = bar;
    const std::uint64_t address_bits = ~(bar.size - 1);
    config_.allow(bar_register(index), 4, static_cast<std::uint32_t>(address_bits));
    switch (bar.kind) {
        case BarKind::io:
            config_.set(bar_register(index), 4, io_bar_flags);
            break;
        case BarKind::memory32:
            break;
        case BarKind::memory64:
            config_.set(bar_register(index), 4, memory64_bar_flags);
            config_.allow(bar_register(index + 1), 4, static_cast<std::uint32_t>(address_bits >> 32));
            break;
    }
}

std::optional<AddressRange> PciFunction::bar_range(unsigned index) const {
    const auto& bar = bars_[index];
    if (!bar) return std::nullopt;
    const std::uint16_t decode = bar->kind == BarKind::io ? pci::command_io : pci::command_memory;
    if (!(config_.word(pci::command) & decode)) return std::nullopt;

    std::uint64_t start = config_.dword(bar_register(index));
    if (bar->kind == BarKind::memory64) start |= std::uint64_t{config_.dword(bar_register(index + 1))} << 32;
    return AddressRange{start & ~(bar->size - 1), bar->size};
}

unsigned PciFunction::add_capability(std::uint8_t id, unsigned size) {
    const unsigned offset = next_capability_;
    config_.set(last_link_, 1, offset);
    config_.set(offset, 1, id);
    config_.set(pci::status, 2, config_.word(pci::status) | pci::status_capabilities);
    last_link_ = offset + 1;
    next_capability_ = (offset + size + 3) / 4 * 4;
    return offset;
}

}  // namespace exo::vmm
