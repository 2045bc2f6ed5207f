#include "vmm/machine/pci_device.h"

#include "shared/block/protocol.h"
#include "shared/platform/platform.h"
#include "vmm/machine/io_value.h"

namespace exo::vmm {

namespace {

constexpr unsigned msix_capability_size = 12;
constexpr unsigned msix_control = 2;  // offsets in the capability
constexpr unsigned msix_table = 4;
constexpr unsigned msix_pending = 8;
constexpr std::uint16_t msix_enable = 1u << 15;
constexpr std::uint16_t msix_function_mask = 1u << 14;

// The window's fields, as offsets in its capability.
constexpr unsigned window_bar = 4;
constexpr unsigned window_offset = 8;
constexpr unsigned window_length = 12;
constexpr unsigned window_data = 16;

constexpr std::uint64_t page = 4096;
constexpr std::uint32_t mass_storage_other = 0x01'80'00;

}  // namespace

/// The BAR that holds the MSI-X structures: their pages go to the table, the others to the device.
class PciDevice::MsixBar final : public IoHandler {
  public:
    MsixBar(Msix& msix, const MsixPlacement& placement, IoHandler& device)
        : msix_(msix), placement_(placement), device_(device) {}

    void read(std::uint64_t offset, std::span<std::byte> data) override {
        const std::uint64_t in_page = offset % page;
        if (offset - in_page == placement_.table_offset)
            msix_.read_table(in_page, data);
        else if (offset - in_page == placement_.pending_offset)
            msix_.read_pending(in_page, data);
        else
            device_.read(offset, data);
    }

    void write(std::uint64_t offset, std::span<const std::byte> data) override {
        const std::uint64_t in_page = offset % page;
        if (offset - in_page == placement_.table_offset)
            msix_.write_table(in_page, data);
        else if (offset - in_page != placement_.pending_offset)
            device_.write(offset, data);
    }

  private:
    Msix& msix_;
    const MsixPlacement placement_;
    IoHandler& device_;
};

PciDevice::PciDevice(const PciDeviceSpec& spec) : PciFunction(spec.name, spec.identity) {
    unsigned index = 0;
    for (unsigned bar = 0; bar < spec.bars.size(); ++bar) {
        PciBar wired = spec.bars[bar];
        if (spec.msix && spec.msix->bar == bar) {
            msix_ = std::make_unique<Msix>(spec.msix->vectors);
            msix_bar_ = std::make_unique<MsixBar>(*msix_, *spec.msix, *wired.handler);
            wired.handler = msix_bar_.get();
            add_msix(*spec.msix, index);
        }
        add_bar(index, wired);
        index += wired.kind == BarKind::memory64 ? 2 : 1;
    }
    unsigned last = 0;
    for (const VendorCapability& bytes : spec.capabilities) {
        last = add_capability(pci::capability_vendor, static_cast<unsigned>(2 + bytes.size()));
        for (unsigned i = 0; i < bytes.size(); ++i) config_.set(last + 2 + i, 1, bytes[i]);
    }
    if (spec.has_window) add_window(last);
}

/// The device's registers that the window leads to: 1, 2 or 4 bytes.
struct PciDevice::Window {
    IoHandler& handler;
    std::uint64_t offset;
    unsigned length;
};

PciDevice::~PciDevice() = default;

void PciDevice::add_msix(const MsixPlacement& placement, unsigned bar_register) {
    msix_capability_ = add_capability(pci::capability_msix, msix_capability_size);
    config_.set(msix_capability_ + msix_control, 2, placement.vectors - 1);
    config_.allow(msix_capability_ + msix_control, 2, msix_enable | msix_function_mask);
    config_.set(msix_capability_ + msix_table, 4, placement.table_offset | bar_register);
    config_.set(msix_capability_ + msix_pending, 4, placement.pending_offset | bar_register);
}

void PciDevice::add_window(unsigned capability) {
    window_ = capability;
    config_.allow(window_ + window_bar, 1, 0xff);
    for (const unsigned field : {window_offset, window_length, window_data})
        config_.allow(window_ + field, 4, 0xffff'ffff);
}

bool PciDevice::is_window(unsigned offset, unsigned size) const {
    return window_ != 0 && offset == window_ + window_data && size <= 4;
}

std::optional<PciDevice::Window> PciDevice::window() const {
    const std::uint32_t index = config_.read(window_ + window_bar, 1);
    const std::uint64_t offset = config_.dword(window_ + window_offset);
    const unsigned length = config_.dword(window_ + window_length);
    if (index >= bar_count || !bar(index)) return std::nullopt;
    const bool sound = (length == 1 || length == 2 || length == 4) && offset % length == 0 &&
                       offset <= bar(index)->size - length;
    return sound ? std::optional(Window{*bar(index)->handler, offset, length}) : std::nullopt;
}

void PciDevice::config_read(unsigned offset, unsigned size) {
    if (!is_window(offset, size)) return;
    const auto shown = window();
    if (!shown) return;
    std::array<std::byte, 4> data{};
    shown->handler.read(shown->offset, std::span(data).first(shown->length));
    config_.set(window_ + window_data, 4, static_cast<std::uint32_t>(value_of(data)));
}

void PciDevice::config_written(unsigned offset, unsigned size) {
    if (is_window(offset, size)) {
        const std::uint32_t value = config_.dword(window_ + window_data);
        if (const auto shown = window())
            shown->handler.write(shown->offset, std::as_bytes(std::span(&value, 1)).first(shown->length));
        return;
    }
    if (!msix_) return;
    // A message is a write to memory, so a function that may not master the bus cannot interrupt either.
    const std::uint16_t control = config_.word(msix_capability_ + msix_control);
    const bool master = config_.word(pci::command) & pci::command_master;
    msix_->set_control((control & msix_enable) && master, control & msix_function_mask);
}

PciDeviceSpec fusion_blk_spec(std::string name, IoHandler& registers, unsigned vectors) {
    return {
        .name = std::move(name),
        .identity = {.vendor = block::pci_vendor,
                     .device = block::pci_device,
                     .class_code = mass_storage_other,
                     .revision = 1,
                     .subsystem_vendor = platform::subsystem_vendor,
                     .subsystem = platform::subsystem_exo_vmm},
        .bars = {{BarKind::memory32, block::bar::size, &registers}},
        .msix = MsixPlacement{.vectors = vectors,
                              .bar = 0,
                              .table_offset = block::bar::msix_table,
                              .pending_offset = block::bar::msix_pending},
    };
}

}  // namespace exo::vmm
