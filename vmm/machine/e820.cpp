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

}  // namespace exo::vmm
