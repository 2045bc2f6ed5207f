#include "vmm/machine/e820.h"

#include <span>

namespace exo::vmm {

std::vector<std::byte> e820_file(const layout::RamSplit& ram) {
    std::vector<E820Entry> entries{
        {0, ram.low, E820Kind::ram},
        {layout::kvm_reserved.start, layout::kvm_reserved.size, E820Kind::reserved},
    };
    if (ram.high != 0) entries.emplace_back(layout::high_ram_start.value, ram.high, E820Kind::ram);
    const auto bytes = std::as_bytes(std::span(entries));
    return {bytes.begin(), bytes.end()};
}

std::vector<MemoryMapRange> direct_memory_map(const layout::RamSplit& ram, const AddressRange& acpi) {
    const std::uint64_t above_hole = layout::legacy_hole.end();
    std::vector<MemoryMapRange> map{
        {{0, layout::legacy_hole.start}, E820Kind::ram},
        {{above_hole, acpi.start - above_hole}, E820Kind::ram},
        {acpi, E820Kind::acpi},
        {layout::kvm_reserved, E820Kind::reserved},
    };
    if (ram.high != 0) map.push_back({{layout::high_ram_start.value, ram.high}, E820Kind::ram});
    return map;
}

}  // namespace exo::vmm
