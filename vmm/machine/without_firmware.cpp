#include "vmm/machine/without_firmware.h"

#include <array>

#include "vmm/machine/power_management.h"

namespace exo::vmm {
namespace {

/// Hands out a window's addresses upwards, each aligned to its own size.
class WindowCursor {
  public:
    explicit WindowCursor(const AddressRange& window) : next_(window.start) {}
    std::uint64_t take(std::uint64_t size) {
        const std::uint64_t start = (next_ + size - 1) / size * size;
        next_ = start + size;
        return start;
    }

  private:
    std::uint64_t next_;
};

void place_bars(PciBus& pci, const layout::PciWindows& windows) {
    WindowCursor io(windows.io);
    WindowCursor memory(windows.memory32);
    pci.for_each_function([&](layout::PciSlot slot, const PciFunction& function) {
        std::uint32_t decode = 0;
        for (unsigned index = 0; index < PciFunction::bar_count; ++index) {
            const auto& bar = function.bar(index);
            if (!bar) continue;
            const bool port = bar->kind == BarKind::io;
            const std::uint64_t start = (port ? io : memory).take(bar->size);
            pci.write_config(0, slot, pci::bar0 + 4 * index, 4, static_cast<std::uint32_t>(start));
            decode |= port ? pci::command_io : pci::command_memory;
        }
        if (decode != 0) pci.write_config(0, slot, pci::command, 2, decode);
    });
}

void turn_on_power_management(PciBus& pci, IoBus& ports) {
    constexpr auto slot = layout::power_management_slot;
    constexpr std::uint16_t sci_enabled = 1;
    pci.write_config(0, slot, PowerManagement::base_register, 4, layout::power_management_port);
    pci.write_config(0, slot, PowerManagement::misc_register, 1, PowerManagement::io_enable);
    ports.write(layout::power_management_port + PowerManagementRegisters::control_offset,
                std::as_bytes(std::span(&sci_enabled, 1)));
}

}  // namespace

void set_up_without_firmware(PciBus& pci, IoBus& ports, const layout::PciWindows& windows) {
    place_bars(pci, windows);
    turn_on_power_management(pci, ports);
}

}  // namespace exo::vmm
