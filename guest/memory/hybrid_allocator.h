// Thread cache over CPU slab over buddy: the whole allocator, free of any idea where it runs.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "guest/memory/cpu_slab.h"
#include "guest/memory/heap_statistics.h"
#include "guest/memory/page_supply.h"
#include "guest/memory/thread_cache.h"

namespace exo::guest {

/// Finds more memory when the buddy has none left.
class PageSource {
  public:
    virtual ~PageSource() = default;
    /// Adds at least `pages` contiguous pages to the allocator, or answers false.
    virtual bool grow(PageIndex pages) = 0;
};

/// `Platform` gives `Lock` (lock, unlock: spinning, with interrupts off in the kernel), `Atomics` (a policy
/// like fusion::NativeAtomics) and `static unsigned current_cpu()`.
///
/// Every thread has a Cache of its own; interrupt handlers have none and do not allocate.
template <class Platform>
class HybridAllocator {
  public:
    using Cache = ThreadCache<HybridAllocator>;
    using Slab = CpuSlab<Platform>;
    using Inbox = typename Slab::Inbox;
    using Lock = typename Platform::Lock;

    /// Bytes that the constructor needs for the state of `cpus` CPUs, aligned to 64.
    static constexpr std::size_t state_bytes(unsigned cpus) { return cpus * (sizeof(Inbox) + sizeof(Slab)); }

    /// `state` has state_bytes(cpus) bytes. No memory is managed before `add`.
    HybridAllocator(const PageMap& map, std::byte* state, unsigned cpus)
        : pages_(map),
          inboxes_(new(state) Inbox[cpus], cpus),
          slabs_(reinterpret_cast<Slab*>(state + cpus * sizeof(Inbox)), cpus) {
        for (unsigned cpu = 0; cpu < cpus; ++cpu)
            new (&slabs_[cpu]) Slab(pages_, inboxes_, static_cast<std::uint16_t>(cpu));
    }
    HybridAllocator(const HybridAllocator&) = delete;
    HybridAllocator& operator=(const HybridAllocator&) = delete;

    void add(PageIndex first, PageIndex count) { pages_.add(first, count); }
    void set_source(PageSource* source) { source_ = source; }

    /// At a multiple of 8; nullptr when memory is exhausted.
    [[gnu::always_inline]] void* allocate(Cache& cache, std::size_t size) {
        if (size > largest_small_size) [[unlikely]]
            return allocate_large(cache, size, 1);
        return cache.allocate(size_class_of(size));
    }
    /// `alignment` is a power of two; nullptr also when it is above 1 MiB.
    void* allocate(Cache& cache, std::size_t size, std::size_t alignment) {
        const SizeClass size_class = aligned_size_class_of(size, alignment);
        if (size_class == no_size_class) return allocate_large(cache, size, alignment);
        return cache.allocate(size_class);
    }

    /// `size` and `alignment` are those of the allocation. nullptr is freed with no effect.
    [[gnu::always_inline]] void deallocate(Cache& cache, void* pointer, std::size_t size) {
        if (pointer == nullptr) return;
        if (size > largest_small_size) [[unlikely]]
            return deallocate_large(cache, pointer);
        cache.deallocate(pointer, size_class_of(size));
    }
    void deallocate(Cache& cache, void* pointer, std::size_t size, std::size_t alignment) {
        if (pointer == nullptr) return;
        const SizeClass size_class = aligned_size_class_of(size, alignment);
        if (size_class == no_size_class) return deallocate_large(cache, pointer);
        cache.deallocate(pointer, size_class);
    }
    /// For who does not know the size.
    [[gnu::always_inline]] void deallocate(Cache& cache, void* pointer) {
        if (pointer == nullptr) return;
        const PageInfo& info = map()[map().index_of(pointer)];
        if (info.kind != PageKind::slab) [[unlikely]]
            return deallocate_large(cache, pointer);
        cache.deallocate(pointer, info.level);
    }
    /// Bytes that may be used at the start of an allocation.
    std::size_t usable_size(const void* pointer) const {
        const PageInfo& info = map()[map().index_of(pointer)];
        return info.kind == PageKind::slab ? size_class_bytes[info.level]
                                           : granules_of(pointer) * granule_bytes;
    }

    /// All that no thread cache holds goes back to the buddy; thread caches follow at their next visit.
    void reclaim() {
        Atomics::fetch_add(pressure_, 1U);
        // Twice, because one CPU's objects may belong to another that came before it.
        for (int round = 0; round < 2; ++round)
            for (Slab& slab : slabs_) slab.trim();
    }

    const PageMap& map() const { return pages_.map(); }
    PageSupply<Lock>& pages() { return pages_; }

    HeapStatistics statistics() {
        HeapStatistics result;
        result.buddy = pages_.statistics();
        result.large = pages_.large_statistics();
        subtract_kept_runs(result.large);
        for (SizeClass c = 0; c < size_class_count; ++c) {
            result.cpu_slabs += slab_statistics(c);
            const ThreadCacheStatistics of_class = cache_statistics(c);
            result.thread_caches += of_class;
            result.live_objects += of_class.allocations - of_class.frees;
            result.live_bytes += (of_class.allocations - of_class.frees) * size_class_bytes[c];
        }
        return result;
    }
    ThreadCacheStatistics cache_statistics(SizeClass size_class) {
        const Locked guard(caches_lock_);
        ThreadCacheStatistics sum = retired_[size_class];
        for (const Cache* cache = caches_; cache != nullptr; cache = cache->next)
            sum += cache->statistics(size_class);
        return sum;
    }
    CpuSlabStatistics slab_statistics(SizeClass size_class) {
        CpuSlabStatistics sum;
        for (Slab& slab : slabs_) sum += slab.statistics(size_class);
        return sum;
    }

    // What the thread caches call.
    Chain refill(SizeClass size_class, std::uint32_t want) {
        const Chain chain = slab().refill(size_class, want);
        if (chain.head != nullptr) return chain;
        relieve(1);
        return slab().refill(size_class, want);
    }
    void give_run(void* run) {
        const PageIndex page = map().index_of(run);
        if (map()[page].kind == PageKind::span) return pages_.give_piece(run);
        pages_.give_large(page);
    }
    void give(SizeClass size_class, Chain chain) { slab().give(size_class, chain); }
    void tune(SizeClass size_class) { slab().tune(size_class); }
    std::uint32_t pressure() const { return Atomics::load_relaxed(pressure_); }
    void attach(Cache& cache) {
        const Locked guard(caches_lock_);
        cache.next = caches_;
        caches_ = &cache;
    }
    void detach(Cache& cache) {
        const Locked guard(caches_lock_);
        for (SizeClass c = 0; c < size_class_count; ++c) retired_[c] += cache.statistics(c);
        Cache** link = &caches_;
        while (*link != &cache) link = &(*link)->next;
        *link = cache.next;
    }

  private:
    using Atomics = typename Platform::Atomics;

    void subtract_kept_runs(LargeStatistics& large) {
        const Locked guard(caches_lock_);
        for (const Cache* cache = caches_; cache != nullptr; cache = cache->next) {
            large.live -= cache->held_runs();
            large.pages -= cache->held_pages();
        }
    }

    Slab& slab() { return slabs_[Platform::current_cpu()]; }

    /// The buddy could not give `pages`.
    void relieve(PageIndex pages) {
        if (source_ == nullptr || !source_->grow(pages)) reclaim();
    }

    [[gnu::noinline]] void* allocate_large(Cache& cache, std::size_t size, std::size_t alignment) {
        if (size > std::size_t{map().size()} * heap_page_size) return nullptr;
        const std::size_t granules = granules_for(size, alignment);
        if (granules <= Cache::longest_run && alignment <= heap_page_size)
            if (void* const kept = cache.take_run(granules)) return kept;
        if (is_piece(granules))
            if (void* const piece = pages_.take_piece(static_cast<std::uint32_t>(granules))) return piece;
        return allocate_pages(
            cache, static_cast<PageIndex>((granules + granules_per_page - 1) / granules_per_page), alignment);
    }

    void* allocate_pages(Cache& cache, PageIndex count, std::size_t alignment) {
        const unsigned order = alignment <= heap_page_size
                                   ? 0
                                   : static_cast<unsigned>(std::countr_zero(alignment / heap_page_size));
        PageIndex page = pages_.take_large(count, order);
        if (page == no_page) {
            cache.flush();
            relieve(count);
            page = pages_.take_large(count, order);
        }
        return page == no_page ? nullptr : map().address_of(page);
    }

    [[gnu::noinline]] void deallocate_large(Cache& cache, void* pointer) {
        const std::size_t granules = granules_of(pointer);
        if (granules <= Cache::longest_run && cache.keep_run(pointer, granules)) return;
        give_run(pointer);
    }

    /// Of an allocation above the classes.
    std::size_t granules_of(const void* pointer) const {
        const PageIndex page = map().index_of(pointer);
        if (map()[page].kind == PageKind::span) return GranuleSpan(map(), page).piece_at(pointer).granules;
        return std::size_t{map()[page].run_pages} * granules_per_page;
    }

    PageSupply<Lock> pages_;
    std::span<Inbox> inboxes_;
    std::span<Slab> slabs_;
    PageSource* source_ = nullptr;
    std::uint32_t pressure_ = 0;  ///< changes when memory has run short
    Lock caches_lock_;
    Cache* caches_ = nullptr;
    std::array<ThreadCacheStatistics, size_class_count> retired_{};  ///< of caches that are gone
};

}  // namespace exo::guest
