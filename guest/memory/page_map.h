// What the allocator knows about every page, kept outside the pages: a slab of 2048-byte objects holds two of
// them, and a free page is never touched.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/memory/size_classes.h"

namespace exo::guest {

inline constexpr std::size_t heap_page_size = 4096;
inline constexpr std::size_t heap_page_shift = 12;

/// Counts pages from the map's base.
using PageIndex = std::uint32_t;
inline constexpr PageIndex no_page = 0xffff'ffff;

enum class PageKind : std::uint8_t {
    unmanaged,   ///< a hole of the memory map, or memory that is not the allocator's
    interior,    ///< not the first page of its block
    free_block,  ///< first page of a free block of the buddy
    slab,        ///< split into objects of one size class
    large,       ///< first page of an allocation of whole pages
    span,        ///< each of eight pages that are split into granules (see granule_spans.h)
};

/// Zeroed memory is a valid table of unmanaged pages.
struct PageInfo {
    PageIndex next;  ///< list links: of free blocks of one order, or of slabs with free objects
    PageIndex previous;
    PageKind kind;
    std::uint8_t level;        ///< order of a free block, size class of a slab, longest free run of a span
    std::uint16_t owner;       ///< slab: the CPU whose lists it is on
    std::uint16_t free_head;   ///< slab: first free object, its offset in units of 8 bytes
    std::uint16_t free_count;  ///< slab: objects on the list of free_head
    std::uint16_t fresh;   ///< slab: objects handed out or listed at least once; those behind are untouched
    std::uint16_t colour;  ///< slab: offset of the first object in bytes
    std::uint32_t remote;  ///< slab: objects freed by other CPUs (see remote_frees.h)
    PageIndex inbox_next;  ///< slab: link of its owner's inbox
    std::uint32_t run_pages;  ///< large: length in pages; slab: tells it from the page's earlier slabs
};
static_assert(sizeof(PageInfo) == 32);

/// The table over one range of addresses, holes included. It owns neither the pages nor the table.
class PageMap {
  public:
    /// `base` is a multiple of the largest block (1 MiB); `infos` is zeroed memory for `count` entries.
    PageMap(std::byte* base, PageInfo* infos, PageIndex count) : base_(base), infos_(infos), count_(count) {}

    PageInfo& operator[](PageIndex page) const { return infos_[page]; }
    PageIndex size() const { return count_; }
    std::byte* address_of(PageIndex page) const { return base_ + std::size_t{page} * heap_page_size; }
    /// Only for addresses inside the map.
    PageIndex index_of(const void* address) const {
        return static_cast<PageIndex>(distance(address) >> heap_page_shift);
    }
    bool contains(const void* address) const { return distance(address) >> heap_page_shift < count_; }

  private:
    std::size_t distance(const void* address) const {
        return reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(base_);
    }

    std::byte* base_;
    PageInfo* infos_;
    PageIndex count_;
};

}  // namespace exo::guest
