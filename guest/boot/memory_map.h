#pragma once

#include <stddef.h>
#include <stdint.h>

#include "guest/boot/memory_ranges.h"
#include "guest/boot/uefi.h"
#include "shared/boot/boot_info.h"

/// The firmware's memory map as the kernel gets it. Pure, and tested on the host.
namespace exo::guest::uefi {

inline boot::MemoryKind kind_of(MemoryType type) {
    switch (type) {
        case MemoryType::conventional:
        case MemoryType::boot_services_code:
        case MemoryType::boot_services_data:
            return boot::MemoryKind::usable;
        case MemoryType::loader_code:
        case MemoryType::loader_data:
            return boot::MemoryKind::loader;
        case MemoryType::acpi_reclaim:
            return boot::MemoryKind::acpi_reclaimable;
        case MemoryType::memory_mapped_io:
        case MemoryType::memory_mapped_io_port:
            return boot::MemoryKind::mmio;
        default:
            return boot::MemoryKind::reserved;
    }
}

/// Sorts the firmware's descriptors into `ranges` (room for one each), joins neighbours of the same kind and
/// cuts overlaps, which then belong to the lower range. The number of ranges.
inline size_t convert_memory_map(const uint8_t* descriptors, size_t size, size_t descriptor_size,
                                 boot::MemoryRange* ranges) {
    constexpr uint64_t page = 4096;
    constexpr uint64_t max_pages = (1ull << 52) / page;
    size_t count = 0;
    for (size_t offset = 0; offset + descriptor_size <= size; offset += descriptor_size) {
        const auto& from = *reinterpret_cast<const MemoryDescriptor*>(descriptors + offset);
        if (from.page_count == 0 || from.page_count > max_pages || from.physical_start >= max_pages * page)
            continue;
        boot::insert_range(
            ranges, count,
            {from.physical_start / page * page, from.page_count * page, kind_of(from.type), 0});
    }
    return boot::join_ranges(ranges, count);
}

}  // namespace exo::guest::uefi
