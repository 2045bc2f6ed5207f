#include "guest/memory/growing_heap.h"

#include <algorithm>

#include "guest/arch/arch.h"

namespace exo::guest {

void* GrowingHeap::allocate(std::size_t size, std::size_t alignment, std::uintptr_t) {
    const Locked guard(lock_);
    void* const piece = heap_.allocate(size, alignment);
    if (piece != nullptr) return piece;
    std::size_t needed = 0;
    if (__builtin_add_overflow(size, alignment, &needed) ||
        __builtin_add_overflow(needed, FirstFitHeap::region_overhead, &needed))
        return nullptr;
    return grow(std::max(needed, growth)) || grow(needed) ? heap_.allocate(size, alignment) : nullptr;
}

void GrowingHeap::free(void* pointer, std::size_t size, std::size_t, std::uintptr_t origin) {
    HeapFault fault{.kind = HeapFaultKind::foreign_pointer, .pointer = pointer, .found_by = origin};
    const Locked guard(lock_);
    switch (heap_.free(pointer, size == unknown_size ? 0 : size)) {
        case FirstFitHeap::FreeResult::freed:
            return;
        case FirstFitHeap::FreeResult::not_allocated:
            return handler_(fault);
        case FirstFitHeap::FreeResult::wrong_size:
            fault.kind = HeapFaultKind::wrong_size;
            fault.size = size;
            return handler_(fault);
    }
}

bool GrowingHeap::grow(std::size_t size) {
    const std::uint64_t count = size / frame_size + (size % frame_size != 0);
    const auto frames = frames_.allocate(count);
    if (!frames) return false;
    heap_.add_region({arch::memory_at(*frames), count * frame_size});
    return true;
}

MemoryStatistics GrowingHeap::usage() {
    const Locked guard(lock_);
    return {.total = frames_.total_frames() * frame_size,
            .free = frames_.free_frames() * frame_size,
            .heap_size = heap_.size(),
            .heap_used = heap_.used(),
            .heap_allocations = heap_.allocations()};
}

}  // namespace exo::guest
