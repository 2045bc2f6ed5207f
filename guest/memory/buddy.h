// The bottom of the allocator: blocks of 2^order pages, split on demand and merged when both halves are free.
#pragma once

#include <array>
#include <cstdint>

#include "guest/memory/page_map.h"

namespace exo::guest {

/// Not thread-safe: its user locks. Lists are kept in the page map, so that free memory is never touched.
class BuddyAllocator {
  public:
    static constexpr unsigned order_count = 9;  ///< 4 KiB … 1 MiB
    static constexpr PageIndex largest_block = PageIndex{1} << (order_count - 1);

    struct Statistics {
        std::array<std::uint32_t, order_count> free_blocks{};
        std::uint64_t managed_pages = 0;
        std::uint64_t free_pages = 0;
        std::uint64_t least_free_pages = 0;  ///< low-water mark, since the last memory was added
        std::uint64_t allocations = 0;
        std::uint64_t frees = 0;
        std::uint64_t failures = 0;
        std::uint64_t splits = 0;
        std::uint64_t merges = 0;
    };

    explicit BuddyAllocator(const PageMap& map) : map_(map) { heads_.fill(no_page); }

    /// Takes `count` pages from `first` on into its care, for the first time.
    void add(PageIndex first, PageIndex count);

    /// A block of 2^order pages at a multiple of its size; no_page when there is none.
    PageIndex allocate(unsigned order);

    /// Exactly `count` contiguous pages, any number, at a multiple of 2^`order` pages and of the smallest
    /// power of two that holds them (of 1 MiB above that), all of them before page `below`; no_page when
    /// there are none.
    PageIndex allocate_run(PageIndex count, unsigned order = 0, PageIndex below = no_page);

    /// Gives back `count` pages, however they were allocated.
    void free(PageIndex first, PageIndex count);

    const Statistics& statistics() const { return statistics_; }

    /// The order that holds `count` pages, which is at most largest_block.
    static unsigned order_for(PageIndex count);

  private:
    void push(PageIndex page, unsigned order);
    void remove(PageIndex page, unsigned order);
    void insert_run(PageIndex first, PageIndex count);
    void insert_block(PageIndex page, unsigned order);
    PageIndex take_block(unsigned order);
    PageIndex take_block_below(unsigned order, PageIndex below);
    PageIndex split(PageIndex page, unsigned order, unsigned wanted);
    PageIndex take_run_above_largest(PageIndex count, PageIndex below);
    bool is_free_block(PageIndex page, unsigned order) const;
    void count_taken(PageIndex count);

    PageMap map_;
    std::array<PageIndex, order_count> heads_;
    std::uint32_t orders_with_blocks_ = 0;  ///< bit per order
    Statistics statistics_;
};

}  // namespace exo::guest
