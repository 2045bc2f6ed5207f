#include "guest/memory/boot_memory.h"

#include <algorithm>
#include <cstddef>

#include "guest/arch/arch.h"

namespace exo::guest {
namespace {

using boot::MemoryKind;
using boot::MemoryRange;
using Map = std::span<const MemoryRange>;

/// From frame 1 on, whatever the firmware says about frame 0.
constexpr std::uint64_t first_address = frame_size;

bool is_managed(const MemoryRange& range) {
    return range.kind == MemoryKind::usable || range.kind == MemoryKind::loader;
}

/// Visits the stretches of managed memory: neighbouring ranges as one.
template <typename Visit>
void for_each_stretch(Map map, Visit visit) {
    for (std::size_t i = 0; i < map.size();) {
        const std::uint64_t start = map[i].start;
        std::uint64_t end = start;
        for (; i < map.size() && is_managed(map[i]) && map[i].start == end; ++i) end += map[i].size;
        if (end == start) {
            ++i;
        } else if (end > std::max(start, first_address)) {
            visit(std::max(start, first_address), end);
        }
    }
}

/// A usable place for the bookkeeping: not below 1 MiB, which is scarce. 0 when there is none.
std::uint64_t find_place(Map map, std::uint64_t size) {
    constexpr std::uint64_t scarce_below = 1 << 20;
    for (const MemoryRange& range : map) {
        if (range.kind == MemoryKind::usable && range.start >= scarce_below && range.size >= size)
            return range.start;
    }
    return 0;
}

/// Frees a range, except what of it lies in [keep, keep_end). The number of bytes freed.
std::uint64_t release_except(FrameAllocator& frames, const MemoryRange& range, std::uint64_t keep,
                             std::uint64_t keep_end) {
    const std::uint64_t start = std::max(range.start, first_address);
    const std::uint64_t end = range.start + range.size;
    const std::uint64_t parts[2][2] = {{start, std::min(end, keep)}, {std::max(start, keep_end), end}};
    std::uint64_t freed = 0;
    for (const auto& [from, to] : parts) {
        // Not everything was adopted when memory is in too many pieces; releasing that is refused.
        if (from < to && frames.release(from, (to - from) / frame_size)) freed += to - from;
    }
    return freed;
}

}  // namespace

Result<void> adopt_boot_memory(FrameAllocator& frames, Map map) {
    std::uint64_t bookkeeping = 0;
    for_each_stretch(map, [&](std::uint64_t start, std::uint64_t end) {
        bookkeeping += FrameAllocator::bitmap_bytes((end - start) / frame_size);
    });
    bookkeeping = (bookkeeping + frame_size - 1) / frame_size * frame_size;
    const std::uint64_t place = find_place(map, bookkeeping);
    if (place == 0 || bookkeeping == 0)
        return fail("memory", "the firmware leaves no room for the kernel", "give the machine more memory");

    auto* bitmap = reinterpret_cast<std::uint64_t*>(arch::memory_at(place));
    for_each_stretch(map, [&](std::uint64_t start, std::uint64_t end) {
        const std::uint64_t count = (end - start) / frame_size;
        if (frames.add_region(start, count, bitmap))
            bitmap += FrameAllocator::bitmap_bytes(count) / sizeof(*bitmap);
    });
    for (const MemoryRange& range : map)
        if (range.kind == MemoryKind::usable) release_except(frames, range, place, place + bookkeeping);
    return {};
}

std::uint64_t release_loader_memory(FrameAllocator& frames, Map map, std::uint64_t keep,
                                    std::uint64_t keep_size) {
    std::uint64_t freed = 0;
    for (const MemoryRange& range : map)
        if (range.kind == MemoryKind::loader) freed += release_except(frames, range, keep, keep + keep_size);
    return freed;
}

}  // namespace exo::guest
