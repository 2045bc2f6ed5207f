#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/boot/boot_info.h"

/// Building the memory map of BootInfo from whatever the platform tells. Pure, and tested on the host. Only C
/// headers, because the loader includes it.
namespace exo::boot {

/// Sorts `range` by its start into `count` others, behind which there is room for one.
inline void insert_range(MemoryRange* ranges, size_t& count, const MemoryRange& range) {
    size_t place = count++;
    for (; place > 0 && ranges[place - 1].start > range.start; --place) ranges[place] = ranges[place - 1];
    ranges[place] = range;
}

/// Joins neighbours of the same kind among sorted ranges and cuts overlaps, which then belong to the lower
/// range. The number of ranges.
inline size_t join_ranges(MemoryRange* ranges, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; ++i) {
        MemoryRange range = ranges[i];
        if (kept > 0) {
            MemoryRange& last = ranges[kept - 1];
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

/// Turns what of [start, end) is usable into memory of the loader's. Needs room for two ranges more.
inline void claim_for_loader(MemoryRange* ranges, size_t& count, uint64_t start, uint64_t end) {
    for (size_t i = 0; i < count; ++i) {
        const MemoryRange range = ranges[i];
        const uint64_t range_end = range.start + range.size;
        const uint64_t from = range.start > start ? range.start : start;
        const uint64_t to = range_end < end ? range_end : end;
        if (range.kind != MemoryKind::usable || from >= to) continue;
        ranges[i] = {from, to - from, MemoryKind::loader, 0};
        if (range.start < from) insert_range(ranges, count, {range.start, from - range.start, range.kind, 0});
        if (to < range_end) insert_range(ranges, count, {to, range_end - to, range.kind, 0});
    }
}

}  // namespace exo::boot
