#pragma once

#include <stddef.h>
#include <stdint.h>

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
        size_t place = count++;
        for (; place > 0 && ranges[place - 1].start > from.physical_start; --place)
            ranges[place] = ranges[place - 1];
        ranges[place] = {from.physical_start / page * page, from.page_count * page, kind_of(from.type), 0};
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; ++i) {
        boot::MemoryRange range = ranges[i];
        if (kept > 0) {
            boot::MemoryRange& last = ranges[kept - 1];
            const uint64_t end = last.start + last.size;
            if (range.start + range.size <= end) continue;
            if (range.start < end) range = {end, range.start + range.size - end, range.kind, 0};
            if (range.start == end && range.kind == last.kind) {
                last.size += range.size;
                continue;
            }
        }
        ranges[kept++] = range;
    }
    return kept;
}

}  // namespace exo::guest::uefi
