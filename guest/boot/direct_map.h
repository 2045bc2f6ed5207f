#pragma once

#include <stddef.h>
#include <stdint.h>

#include "guest/arch/x86_64/page_table.h"
#include "shared/boot/boot_info.h"

/// Only C headers, because the loader includes it.
namespace exo::boot {

/// Puts the direct map of all RAM into the first page tables. Ranges are widened to pages of 2 MiB where that
/// does not meet the range before: it costs fewer tables, and these are not the kernel's final ones.
template <typename Tables>
guest::arch::MapResult map_direct(Tables& tables, const MemoryRange* ranges, size_t count) {
    using guest::arch::MapResult;
    constexpr uint64_t page = guest::arch::page_size_2m;
    uint64_t mapped_to = 0;
    for (size_t i = 0; i < count; ++i) {
        if (ranges[i].kind == MemoryKind::mmio || ranges[i].kind == MemoryKind::reserved) continue;
        uint64_t start = ranges[i].start / page * page;
        const uint64_t end = (ranges[i].start + ranges[i].size + page - 1) / page * page;
        if (start < mapped_to) start = mapped_to;
        if (end <= start) continue;
        const MapResult result =
            tables.map(direct_map_base + start, start, end - start, guest::arch::PageAccess::read_write);
        if (result != MapResult::ok) return result;
        mapped_to = end;
    }
    return MapResult::ok;
}

}  // namespace exo::boot
