#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vmm/machine/layout.h"

namespace exo::vmm {

enum class E820Kind : std::uint32_t { ram = 1, reserved = 2, acpi = 3 };

/// One entry of fw_cfg's etc/e820.
struct E820Entry {
    std::uint32_t words[5];  ///< base and length, 64 bits each, then the kind: 20 bytes without padding

    E820Entry(std::uint64_t base, std::uint64_t length, E820Kind kind)
        : words{static_cast<std::uint32_t>(base), static_cast<std::uint32_t>(base >> 32),
                static_cast<std::uint32_t>(length), static_cast<std::uint32_t>(length >> 32),
                static_cast<std::uint32_t>(kind)} {}
};
static_assert(sizeof(E820Entry) == 20);

/// One range of the memory map that a kernel gets when there is no firmware to make one.
struct MemoryMapRange {
    AddressRange where;
    E820Kind kind;
};

/// The same for such a kernel: the hole below 1 MiB is left out, and the tables at the top of low RAM are
/// told.
/// @param acpi  in RAM, up to its end below 4 GiB
std::vector<MemoryMapRange> direct_memory_map(const layout::RamSplit& ram, const AddressRange& acpi);

/// What the firmware is told of memory: RAM below and above 4 GiB, and the pages that KVM keeps on Intel
/// hosts.
std::vector<std::byte> e820_file(const layout::RamSplit& ram);

}  // namespace exo::vmm
