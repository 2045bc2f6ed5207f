// The buddy behind its lock, as the levels above see it.
#pragma once

#include "guest/arch/spin_lock.h"
#include "guest/memory/buddy.h"
#include "guest/memory/granule_spans.h"
#include "guest/memory/heap_statistics.h"
#include "guest/memory/page_map.h"

namespace exo::guest {

template <class Lock>
class PageSupply {
  public:
    explicit PageSupply(const PageMap& map) : map_(map), buddy_(map), spans_(map) {}

    const PageMap& map() const { return map_; }

    void add(PageIndex first, PageIndex count) {
        const Locked guard(lock_);
        buddy_.add(first, count);
    }
    /// A page to split into objects; no_page when there is none. What kind a page is changes only under the
    /// lock, because the buddy looks at its neighbours' kinds.
    PageIndex take_slab(SizeClass size_class) {
        const Locked guard(lock_);
        const PageIndex page = buddy_.allocate(0);
        if (page == no_page) return no_page;
        map_[page].kind = PageKind::slab;
        map_[page].level = size_class;
        return page;
    }
    void give_slab(PageIndex page) {
        const Locked guard(lock_);
        buddy_.free(page, 1);
    }
    /// `count` contiguous pages for one allocation, as BuddyAllocator::allocate_run.
    PageIndex take_large(PageIndex count, unsigned order, PageIndex below = no_page) {
        const Locked guard(lock_);
        const PageIndex page = buddy_.allocate_run(count, order, below);
        if (page == no_page) return no_page;
        map_[page].kind = PageKind::large;
        map_[page].run_pages = count;
        ++large_.allocations;
        ++large_.live;
        large_.pages += count;
        return page;
    }
    void give_large(PageIndex page) {
        const Locked guard(lock_);
        --large_.live;
        large_.pages -= map_[page].run_pages;
        buddy_.free(page, map_[page].run_pages);
    }
    /// A piece of a span for one allocation; nullptr when there is none.
    std::byte* take_piece(std::uint32_t granules) {
        const Locked guard(lock_);
        std::byte* const memory = spans_.allocate(buddy_, granules);
        if (memory == nullptr) return nullptr;
        ++large_.allocations;
        ++large_.live;
        return memory;
    }
    void give_piece(void* pointer) {
        const Locked guard(lock_);
        --large_.live;
        spans_.free(buddy_, pointer);
    }
    LargeStatistics large_statistics() {
        const Locked guard(lock_);
        LargeStatistics result = large_;
        result.pages += std::uint64_t{spans_.spans()} * GranuleSpan::pages;
        return result;
    }
    BuddyAllocator::Statistics statistics() {
        const Locked guard(lock_);
        return buddy_.statistics();
    }

  private:
    PageMap map_;
    Lock lock_;
    BuddyAllocator buddy_;
    GranuleSpans spans_;
    LargeStatistics large_;
};

}  // namespace exo::guest
