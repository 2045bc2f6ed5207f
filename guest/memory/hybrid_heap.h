// The hybrid allocator as the kernel's heap: over all physical memory, by its direct map.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/kernel/error.h"
#include "guest/memory/checked_allocator.h"
#include "guest/memory/frame_allocator.h"
#include "guest/memory/heap_fault.h"
#include "guest/memory/heap_statistics.h"
#include "guest/memory/hybrid_allocator.h"
#include "guest/memory/kernel_platform.h"
#include "guest/memory/late.h"
#include "guest/memory/memory_statistics.h"

namespace exo::guest {

/// `Checked` puts debug checks around every allocation. Faults go to the handler.
template <bool Checked>
class HybridHeap final : public FrameKeeper {
  public:
    using Allocator = HybridAllocator<KernelPlatform>;

    constexpr HybridHeap(FrameAllocator& frames, HeapFaultHandler handler)
        : frames_(frames), handler_(handler) {}
    HybridHeap(const HybridHeap&) = delete;
    HybridHeap& operator=(const HybridHeap&) = delete;

    /// Takes every free frame for good, some of them for its page table. Memory so far above the rest that
    /// the table over the hole between would cost more than a sixteenth of what is gained stays where it is.
    Result<void> start(unsigned cpus);
    bool started() const { return allocator_.has_value(); }

    /// At a multiple of `alignment`, a power of two of at most 1 MiB. nullptr when memory is exhausted, or
    /// not there yet. `origin` is the code that asks.
    void* allocate(std::size_t size, std::size_t alignment, std::uintptr_t origin);
    /// `size` may be unknown_size. nullptr is freed with no effect.
    void free(void* pointer, std::size_t size, std::size_t alignment, std::uintptr_t origin);
    static constexpr std::size_t unknown_size = ~std::size_t{0};

    Result<std::uint64_t> allocate_frames(std::uint64_t count,
                                          const FrameAllocator::Constraint& constraint) override;
    Result<void> release_frames(std::uint64_t start, std::uint64_t count) override;
    bool owns_frames(std::uint64_t start) const override;
    void take_over(FrameAllocator& frames) override;
    std::uint64_t kept_free_frames() const override { return started() ? statistics().buddy.free_pages : 0; }

    /// Gives back all that is only cached.
    void trim();

    /// The cache of a thread, which arch::current_heap_cache() names while that thread runs. nullptr before
    /// the heap has been started.
    Result<void*> make_thread_cache();
    /// When the thread does not run any more.
    void release_thread_cache(void* cache);

    HeapStatistics statistics() const { return started() ? allocator_->statistics() : HeapStatistics{}; }
    MemoryStatistics usage() const;
    /// Pages taken for the page table and the CPUs' lists.
    std::uint64_t bookkeeping_pages() const { return bookkeeping_pages_; }
    Allocator* allocator() const { return started() ? &*allocator_ : nullptr; }

    /// See CheckedAllocator; without checks nothing is known.
    std::uint64_t leak_mark() const;
    std::size_t leaks(std::uint64_t mark, std::span<LeakSite> sites) const;

  private:
    Allocator::Cache& cache() {
        void* const own = arch::current_heap_cache();
        return own != nullptr ? *static_cast<Allocator::Cache*>(own) : *first_cache_;
    }
    std::uint64_t base() const;
    void count_frames(std::int64_t runs, std::int64_t pages);

    FrameAllocator& frames_;
    HeapFaultHandler handler_;
    std::uint64_t bookkeeping_pages_ = 0;
    LargeStatistics as_frames_;  ///< of the buddy's allocations, those that are frames
    Late<Allocator> allocator_;
    Late<Allocator::Cache> first_cache_;  ///< of what runs before there are threads
    Late<CheckedAllocator<Allocator>> checked_;
};

extern template class HybridHeap<false>;
extern template class HybridHeap<true>;

}  // namespace exo::guest
