#include "guest/memory/buddy.h"

#include <algorithm>
#include <bit>

namespace exo::guest {

unsigned BuddyAllocator::order_for(PageIndex count) {
    return count <= 1 ? 0 : static_cast<unsigned>(std::bit_width(count - 1));
}

void BuddyAllocator::add(PageIndex first, PageIndex count) {
    for (PageIndex page = first; page < first + count; ++page) map_[page].kind = PageKind::interior;
    insert_run(first, count);
    statistics_.managed_pages += count;
    statistics_.free_pages += count;
    statistics_.least_free_pages = statistics_.free_pages;
}

PageIndex BuddyAllocator::allocate(unsigned order) {
    const PageIndex page = take_block(order);
    if (page == no_page) {
        ++statistics_.failures;
        return no_page;
    }
    count_taken(PageIndex{1} << order);
    return page;
}

PageIndex BuddyAllocator::allocate_run(PageIndex count, unsigned order, PageIndex below) {
    if (order >= order_count) return no_page;
    order = std::max(order, std::min(order_for(count), order_count - 1));
    const PageIndex page = count > largest_block ? take_run_above_largest(count, below)
                           : below < map_.size() ? take_block_below(order, below)
                                                 : take_block(order);
    if (page == no_page) {
        ++statistics_.failures;
        return no_page;
    }
    // What the rounding took too much goes back at once.
    const PageIndex block = PageIndex{1} << order;
    const PageIndex taken = (count + block - 1) / block * block;
    insert_run(page + count, taken - count);
    count_taken(count);
    return page;
}

void BuddyAllocator::free(PageIndex first, PageIndex count) {
    map_[first].kind = PageKind::interior;
    insert_run(first, count);
    statistics_.free_pages += count;
    ++statistics_.frees;
}

void BuddyAllocator::count_taken(PageIndex count) {
    statistics_.free_pages -= count;
    statistics_.least_free_pages = std::min(statistics_.least_free_pages, statistics_.free_pages);
    ++statistics_.allocations;
}

void BuddyAllocator::push(PageIndex page, unsigned order) {
    PageInfo& info = map_[page];
    info.kind = PageKind::free_block;
    info.level = static_cast<std::uint8_t>(order);
    info.previous = no_page;
    info.next = heads_[order];
    if (info.next != no_page) map_[info.next].previous = page;
    heads_[order] = page;
    orders_with_blocks_ |= 1U << order;
    ++statistics_.free_blocks[order];
}

void BuddyAllocator::remove(PageIndex page, unsigned order) {
    PageInfo& info = map_[page];
    if (info.previous != no_page) {
        map_[info.previous].next = info.next;
    } else {
        heads_[order] = info.next;
        if (info.next == no_page) orders_with_blocks_ &= ~(1U << order);
    }
    if (info.next != no_page) map_[info.next].previous = info.previous;
    info.kind = PageKind::interior;
    --statistics_.free_blocks[order];
}

/// Cuts a run into the largest aligned blocks.
void BuddyAllocator::insert_run(PageIndex first, PageIndex count) {
    while (count > 0) {
        const unsigned fits = static_cast<unsigned>(std::bit_width(count)) - 1;
        const unsigned aligned = static_cast<unsigned>(std::countr_zero(first));
        const unsigned order = std::min({fits, aligned, order_count - 1});
        insert_block(first, order);
        first += PageIndex{1} << order;
        count -= PageIndex{1} << order;
    }
}

bool BuddyAllocator::is_free_block(PageIndex page, unsigned order) const {
    return page < map_.size() && map_[page].kind == PageKind::free_block && map_[page].level == order;
}

void BuddyAllocator::insert_block(PageIndex page, unsigned order) {
    while (order + 1 < order_count) {
        const PageIndex buddy = page ^ (PageIndex{1} << order);
        if (!is_free_block(buddy, order)) break;
        remove(buddy, order);
        page = std::min(page, buddy);
        ++order;
        ++statistics_.merges;
    }
    push(page, order);
}

PageIndex BuddyAllocator::take_block(unsigned order) {
    const std::uint32_t large_enough = orders_with_blocks_ >> order << order;
    if (large_enough == 0) return no_page;
    const auto found = static_cast<unsigned>(std::countr_zero(large_enough));
    return split(heads_[found], found, order);
}

/// The free block becomes one of the order wanted, at the same place; the rest stays free.
PageIndex BuddyAllocator::split(PageIndex page, unsigned order, unsigned wanted) {
    remove(page, order);
    while (order > wanted) {
        --order;
        push(page + (PageIndex{1} << order), order);
        ++statistics_.splits;
    }
    return page;
}

/// For the few devices that reach no higher: looks through the lists.
PageIndex BuddyAllocator::take_block_below(unsigned order, PageIndex below) {
    for (unsigned found = order; found < order_count; ++found)
        for (PageIndex page = heads_[found]; page != no_page; page = map_[page].next)
            if (page < below && (PageIndex{1} << order) <= below - page) return split(page, found, order);
    return no_page;
}

/// Rare and large, so a walk over the first pages of all largest blocks will do.
PageIndex BuddyAllocator::take_run_above_largest(PageIndex count, PageIndex below) {
    const PageIndex blocks = count / largest_block + (count % largest_block != 0);
    if (blocks > statistics_.free_blocks[order_count - 1]) return no_page;
    PageIndex in_a_row = 0;
    const PageIndex end = std::min(below, map_.size());
    for (PageIndex page = 0; page < end && largest_block <= end - page; page += largest_block) {
        in_a_row = is_free_block(page, order_count - 1) ? in_a_row + 1 : 0;
        if (in_a_row < blocks) continue;
        const PageIndex first = page - (blocks - 1) * largest_block;
        for (PageIndex i = 0; i < blocks; ++i) remove(first + i * largest_block, order_count - 1);
        return first;
    }
    return no_page;
}

}  // namespace exo::guest
