#include "guest/memory/kernel_memory.h"

#include <algorithm>

#include "guest/arch/arch.h"
#include "guest/memory/memory_statistics.h"

namespace exo::guest {
namespace {
constinit KernelMemory memory;
}

KernelMemory& kernel_memory() {
    return memory;
}

void* GrowingHeap::allocate(std::size_t size, std::size_t alignment) {
    void* const piece = heap_.allocate(size, alignment);
    if (piece != nullptr) return piece;
    std::size_t needed = 0;
    if (__builtin_add_overflow(size, alignment, &needed) ||
        __builtin_add_overflow(needed, FirstFitHeap::region_overhead, &needed))
        return nullptr;
    return grow(std::max(needed, growth)) || grow(needed) ? heap_.allocate(size, alignment) : nullptr;
}

bool GrowingHeap::grow(std::size_t size) {
    const std::uint64_t count = size / frame_size + (size % frame_size != 0);
    const auto frames = frames_.allocate(count);
    if (!frames) return false;
    heap_.add_region({arch::memory_at(*frames), count * frame_size});
    return true;
}

MemoryStatistics memory_statistics() {
    const FirstFitHeap& heap = memory.heap.heap();
    return {.total = memory.frames.total_frames() * frame_size,
            .free = memory.frames.free_frames() * frame_size,
            .heap_size = heap.size(),
            .heap_used = heap.used(),
            .heap_allocations = heap.allocations()};
}

}  // namespace exo::guest
