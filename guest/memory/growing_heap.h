#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/arch/spin_lock.h"
#include "guest/kernel/error.h"
#include "guest/memory/first_fit_heap.h"
#include "guest/memory/frame_allocator.h"
#include "guest/memory/heap_fault.h"
#include "guest/memory/memory_statistics.h"

namespace exo::guest {

/// The classic kernel heap: first fit, with frames taken when it runs out. They are used through the direct
/// map. It looks like HybridHeap from outside.
class GrowingHeap {
  public:
    /// Taken at once when that much contiguous memory is free, so that the heap consists of few regions.
    static constexpr std::size_t growth = std::size_t{256} << 10;
    static constexpr std::size_t unknown_size = ~std::size_t{0};

    constexpr GrowingHeap(FrameAllocator& frames, HeapFaultHandler handler)
        : frames_(frames), handler_(handler) {}

    Result<void> start(unsigned) { return {}; }

    /// nullptr when the machine's memory is exhausted.
    void* allocate(std::size_t size, std::size_t alignment, std::uintptr_t origin);
    void free(void* pointer, std::size_t size, std::size_t alignment, std::uintptr_t origin);

    MemoryStatistics usage();
    /// Threads have no caches: one lock for all.
    Result<void*> make_thread_cache() { return nullptr; }
    void release_thread_cache(void*) {}
    /// It does not know who allocated what.
    std::uint64_t leak_mark() const { return 0; }
    std::size_t leaks(std::uint64_t, std::span<LeakSite>) const { return 0; }

  private:
    bool grow(std::size_t size) EXO_THREAD_SAFETY(requires_capability(lock_));

    FrameAllocator& frames_;
    HeapFaultHandler handler_;
    SpinLock lock_;
    FirstFitHeap heap_ EXO_THREAD_SAFETY(guarded_by(lock_));
};

}  // namespace exo::guest
