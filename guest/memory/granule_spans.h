// Between the largest size class and a few pages: pieces of 512-byte granules, cut from spans of eight pages,
// so that 4,368 bytes (a page of a database with its header) do not take two pages.
#pragma once

#include <array>
#include <cstdint>

#include "guest/memory/buddy.h"
#include "guest/memory/page_map.h"
#include "guest/memory/size_classes.h"

namespace exo::guest {

/// Some granules of a span that belong together.
struct Piece {
    std::byte* start = nullptr;
    std::uint32_t granules = 0;  ///< 0: nothing is allocated there
};

/// What is known of one span: a bit a granule for those that are free, for those that end a piece, and for
/// those that start one. The bits lie in the list links of its second to fourth page, which have no other
/// use. All its pages are of kind `span`; the links of the first are those of a list, its level is the
/// longest run of free granules.
class GranuleSpan {
  public:
    static constexpr PageIndex pages = 8;
    static constexpr std::uint32_t granules = pages * granules_per_page;
    static_assert(granules == 64);

    /// The span that a page of it belongs to.
    GranuleSpan(const PageMap& map, PageIndex page) : map_(map), head_(page / pages * pages) {}

    PageIndex head() const { return head_; }
    std::uint64_t free() const { return read(free_page); }
    /// Whoever holds a piece may ask for it while others change the rest of the span.
    Piece piece_at(const void* pointer) const;

    /// As a block of the buddy becomes a span, and the reverse.
    void begin();
    void end();
    /// Takes the first run of so many free granules, which there must be.
    std::byte* take(std::uint32_t count);
    void give(const Piece& piece);
    /// Of free granules.
    std::uint32_t longest_run() const;

  private:
    static constexpr PageIndex free_page = 1;
    static constexpr PageIndex ends_page = 2;
    static constexpr PageIndex starts_page = 3;

    std::uint64_t read(PageIndex page) const;
    void write(PageIndex page, std::uint64_t bits);
    std::uint32_t granule_of(const void* pointer) const;
    std::byte* address_of(std::uint32_t granule) const;

    PageMap map_;
    PageIndex head_;
};

/// All spans, in lists by their longest free run: the shortest that suffices is found by one bit scan. Not
/// thread-safe: its user locks.
class GranuleSpans {
  public:
    explicit GranuleSpans(const PageMap& map) : map_(map) { heads_.fill(no_page); }

    /// 1 … longest_piece granules at a multiple of a granule; nullptr when the buddy has no eight pages.
    std::byte* allocate(BuddyAllocator& buddy, std::uint32_t granules);
    /// Spans that become empty go back to the buddy.
    void free(BuddyAllocator& buddy, void* pointer);
    std::uint32_t spans() const { return spans_; }

  private:
    void link(const GranuleSpan& span);
    void unlink(PageIndex head);

    PageMap map_;
    std::array<PageIndex, GranuleSpan::granules> heads_;
    std::uint64_t lengths_ = 0;  ///< bit n: there is a list of spans with n + 1 free granules in a row
    std::uint32_t spans_ = 0;
};

}  // namespace exo::guest
