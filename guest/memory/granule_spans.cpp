#include "guest/memory/granule_spans.h"

#include <algorithm>
#include <bit>

namespace exo::guest {
namespace {

constexpr std::uint64_t all_granules = ~std::uint64_t{0};

constexpr std::uint64_t bits(std::uint32_t first, std::uint32_t count) {
    return all_granules >> (GranuleSpan::granules - count) << first;
}

}  // namespace

Piece GranuleSpan::piece_at(const void* pointer) const {
    const std::uint32_t granule = granule_of(pointer);
    if ((free() >> granule & 1) != 0) return {};
    // Of a piece in use nobody else changes the two bits, whatever becomes of its neighbours meanwhile.
    const std::uint64_t starts = read(starts_page) & bits(0, granule + 1);
    if (starts == 0) return {};
    const auto first = static_cast<std::uint32_t>(std::bit_width(starts)) - 1;
    const auto end = granule + static_cast<std::uint32_t>(std::countr_zero(read(ends_page) >> granule));
    return {address_of(first), end + 1 - first};
}

void GranuleSpan::begin() {
    for (PageIndex page = head_; page < head_ + pages; ++page) map_[page].kind = PageKind::span;
    write(free_page, all_granules);
    write(ends_page, 0);
    write(starts_page, 0);
}

void GranuleSpan::end() {
    for (PageIndex page = head_; page < head_ + pages; ++page) map_[page].kind = PageKind::interior;
}

std::byte* GranuleSpan::take(std::uint32_t count) {
    std::uint64_t starts = free();
    for (std::uint32_t length = 1; length < count;) {
        const std::uint32_t more = std::min(length, count - length);
        starts &= starts >> more;
        length += more;
    }
    const auto first = static_cast<std::uint32_t>(std::countr_zero(starts));
    write(ends_page, read(ends_page) | bits(first + count - 1, 1));
    write(starts_page, read(starts_page) | bits(first, 1));
    write(free_page, free() & ~bits(first, count));
    return address_of(first);
}

void GranuleSpan::give(const Piece& piece) {
    const std::uint32_t first = granule_of(piece.start);
    write(free_page, free() | bits(first, piece.granules));
    write(ends_page, read(ends_page) & ~bits(first + piece.granules - 1, 1));
    write(starts_page, read(starts_page) & ~bits(first, 1));
}

std::uint32_t GranuleSpan::longest_run() const {
    std::uint32_t length = 0;
    for (std::uint64_t ends = free(); ends != 0; ends &= ends << 1) ++length;
    return length;
}

std::uint64_t GranuleSpan::read(PageIndex page) const {
    const PageInfo& info = map_[head_ + page];
    return __atomic_load_n(&info.next, __ATOMIC_ACQUIRE) |
           std::uint64_t{__atomic_load_n(&info.previous, __ATOMIC_ACQUIRE)} << 32;
}

void GranuleSpan::write(PageIndex page, std::uint64_t bits) {
    PageInfo& info = map_[head_ + page];
    __atomic_store_n(&info.next, static_cast<std::uint32_t>(bits), __ATOMIC_RELEASE);
    __atomic_store_n(&info.previous, static_cast<std::uint32_t>(bits >> 32), __ATOMIC_RELEASE);
}

std::uint32_t GranuleSpan::granule_of(const void* pointer) const {
    return static_cast<std::uint32_t>(
        static_cast<std::size_t>(static_cast<const std::byte*>(pointer) - map_.address_of(head_)) /
        granule_bytes);
}

std::byte* GranuleSpan::address_of(std::uint32_t granule) const {
    return map_.address_of(head_) + granule * granule_bytes;
}

std::byte* GranuleSpans::allocate(BuddyAllocator& buddy, std::uint32_t granules) {
    const std::uint64_t long_enough = lengths_ >> (granules - 1) << (granules - 1);
    PageIndex head = no_page;
    if (long_enough != 0) {
        head = heads_[static_cast<std::size_t>(std::countr_zero(long_enough))];
        unlink(head);
    } else {
        head = buddy.allocate(BuddyAllocator::order_for(GranuleSpan::pages));
        if (head == no_page) return nullptr;
        GranuleSpan(map_, head).begin();
        ++spans_;
    }
    GranuleSpan span(map_, head);
    std::byte* const memory = span.take(granules);
    link(span);
    return memory;
}

void GranuleSpans::free(BuddyAllocator& buddy, void* pointer) {
    GranuleSpan span(map_, map_.index_of(pointer));
    if (span.free() != 0) unlink(span.head());
    span.give(span.piece_at(pointer));
    if (span.free() != all_granules) return link(span);
    span.end();
    --spans_;
    buddy.free(span.head(), GranuleSpan::pages);
}

void GranuleSpans::link(const GranuleSpan& span) {
    const std::uint32_t length = span.longest_run();
    if (length == 0) return;
    PageInfo& info = map_[span.head()];
    PageIndex& first = heads_[length - 1];
    info.level = static_cast<std::uint8_t>(length);
    info.previous = no_page;
    info.next = first;
    if (first != no_page) map_[first].previous = span.head();
    first = span.head();
    lengths_ |= bits(length - 1, 1);
}

void GranuleSpans::unlink(PageIndex head) {
    const PageInfo& info = map_[head];
    PageIndex& first = heads_[info.level - 1U];
    if (info.previous != no_page) {
        map_[info.previous].next = info.next;
    } else {
        first = info.next;
        if (first == no_page) lengths_ &= ~bits(info.level - 1U, 1);
    }
    if (info.next != no_page) map_[info.next].previous = info.previous;
}

}  // namespace exo::guest
