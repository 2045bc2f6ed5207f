#include "vmm/machine/pci_bus.h"

#include <algorithm>
#include <tuple>

namespace exo::vmm {

PciBus::PciBus(IoBus& ports, IoBus& memory, const layout::PciWindows& windows)
    : ports_(ports), memory_(memory), windows_(windows) {}

void PciBus::add(layout::PciSlot slot, PciFunction& function) {
    const std::lock_guard lock(mutex_);
    functions_.at(slot.device).at(slot.function) = &function;
    for (unsigned index = 0; index < PciFunction::bar_count; ++index) {
        const auto& bar = function.bar(index);
        if (!bar) continue;
        IoBus& bus = bar->kind == BarKind::io ? ports_ : memory_;
        const auto range =
            bus.add(function.name() + " bar" + std::to_string(index), bar->size, *bar->handler);
        bars_.push_back({slot, index, &function, &bus, range, std::nullopt});
    }
    std::ranges::sort(
        bars_, {}, [](const Bar& bar) { return std::tuple(bar.slot.device, bar.slot.function, bar.index); });
}

PciFunction* PciBus::function_at(unsigned bus, layout::PciSlot slot) const {
    if (bus != 0 || slot.device >= functions_.size() || slot.function >= functions_[slot.device].size())
        return nullptr;
    return functions_[slot.device][slot.function];
}

std::uint32_t PciBus::read_config(unsigned bus, layout::PciSlot slot, unsigned offset, unsigned size) {
    const std::lock_guard lock(mutex_);
    PciFunction* function = function_at(bus, slot);
    return function ? function->read_config(offset, size) : UINT32_MAX;
}

void PciBus::write_config(unsigned bus, layout::PciSlot slot, unsigned offset, unsigned size,
                          std::uint32_t value) {
    const std::lock_guard lock(mutex_);
    PciFunction* function = function_at(bus, slot);
    if (!function) return;
    function->write_config(offset, size, value);
    if (offset < pci::bars_end && offset + size > pci::command) remap();
}

void PciBus::exchange_state(StateArchive& archive) {
    const std::lock_guard lock(mutex_);
    for_each_function([&](layout::PciSlot slot, PciFunction& function) {
        archive.section(fmt::format("pci {}.{} {}", slot.device, slot.function, function.name()),
                        [&] { function.exchange_state(archive); });
    });
    if (archive.loading() && !archive.failed()) remap();
}

bool PciBus::in_window(BarKind kind, const AddressRange& where) const {
    switch (kind) {
        case BarKind::io:
            return windows_.io.contains(where);
        case BarKind::memory32:
            return windows_.memory32.contains(where);
        case BarKind::memory64:
            return windows_.memory32.contains(where) || windows_.memory64.contains(where);
    }
    return false;
}

std::vector<std::optional<AddressRange>> PciBus::decode() const {
    std::vector<std::optional<AddressRange>> decoded;
    for (const Bar& bar : bars_) {
        auto where = bar.function->bar_range(bar.index);
        if (where && !in_window(bar.function->bar(bar.index)->kind, *where)) where.reset();
        for (std::size_t before = 0; where && before < decoded.size(); ++before)
            if (decoded[before] && bars_[before].bus == bar.bus && decoded[before]->overlaps(*where))
                where.reset();
        decoded.push_back(where);
    }
    return decoded;
}

void PciBus::remap() {
    const auto decoded = decode();
    for (std::size_t i = 0; i < bars_.size(); ++i) {
        Bar& bar = bars_[i];
        if (!bar.mapped || bar.mapped == decoded[i]) continue;
        bar.bus->withdraw(bar.range);
        const AddressRange where = *bar.mapped;
        bar.mapped.reset();
        if (auto* listener = bar.function->bar_listener()) listener->bar_unmapped(bar.index, where);
    }
    for (std::size_t i = 0; i < bars_.size(); ++i) {
        Bar& bar = bars_[i];
        if (bar.mapped || !decoded[i]) continue;
        bar.mapped = decoded[i];
        bar.bus->place(bar.range, bar.mapped->start);
        if (auto* listener = bar.function->bar_listener()) listener->bar_mapped(bar.index, *bar.mapped);
    }
}

std::optional<AddressRange> PciBus::mapped(layout::PciSlot slot, unsigned index) const {
    const std::lock_guard lock(mutex_);
    const auto bar =
        std::ranges::find_if(bars_, [&](const Bar& b) { return b.slot == slot && b.index == index; });
    return bar == bars_.end() ? std::nullopt : bar->mapped;
}

}  // namespace exo::vmm
