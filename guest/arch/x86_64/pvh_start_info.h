#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/boot/memory_ranges.h"
#include "shared/boot/boot_info.h"
#include "shared/boot/pvh.h"

/// What the PVH entry reads from a VMM's StartInfo. Pure, and tested on the host.
namespace exo::guest::arch {

constexpr std::uint64_t up_to_page(std::uint64_t address) {
    constexpr std::uint64_t page = 4096;
    return (address + page - 1) / page * page;
}

/// Memory only as far as its pages are wholly memory; anything else as far as a page has a part in it.
inline std::size_t convert_pvh_memory_map(std::span<const boot::pvh::MemoryMapEntry> entries,
                                          boot::MemoryRange* ranges) {
    constexpr std::uint64_t page = 4096;
    constexpr std::uint64_t limit = 1ull << 52;
    std::size_t count = 0;
    for (const boot::pvh::MemoryMapEntry& entry : entries) {
        if (entry.address >= limit || entry.size > limit - entry.address) continue;
        const std::uint64_t end = entry.address + entry.size;
        const bool ram = entry.type == boot::pvh::memory_ram;
        const boot::MemoryKind kind = ram ? boot::MemoryKind::usable
                                      : entry.type == boot::pvh::memory_acpi
                                          ? boot::MemoryKind::acpi_reclaimable
                                          : boot::MemoryKind::reserved;
        const std::uint64_t from = ram ? up_to_page(entry.address) : entry.address / page * page;
        const std::uint64_t to = ram ? end / page * page : up_to_page(end);
        if (from < to) boot::insert_range(ranges, count, {from, to - from, kind, 0});
    }
    return boot::join_ranges(ranges, count);
}

/// Where free memory ends that begins at `start`: at the end of its RAM, or at the next module or table that
/// the VMM put there. `start` itself when it is not free.
/// @param tables  addresses of what else the VMM hands over
inline std::uint64_t free_until(std::uint64_t start, std::span<const boot::pvh::MemoryMapEntry> entries,
                                std::span<const boot::pvh::Module> modules,
                                std::span<const std::uint64_t> tables) {
    std::uint64_t end = start;
    for (const boot::pvh::MemoryMapEntry& entry : entries)
        if (entry.type == boot::pvh::memory_ram && start >= entry.address &&
            start - entry.address < entry.size)
            end = entry.address + entry.size;
    for (const boot::pvh::Module& module : modules)
        if (module.address + module.size > start && module.address < end)
            end = module.address < start ? start : module.address;
    for (const std::uint64_t table : tables)
        if (table >= start && table < end) end = table;
    return end;
}

}  // namespace exo::guest::arch
