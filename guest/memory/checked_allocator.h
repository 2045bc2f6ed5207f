// The hybrid allocator for debug builds: guards around every allocation, poison in what is free, and who
// allocated and freed it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/memory/granule_spans.h"
#include "guest/memory/heap_fault.h"
#include "guest/memory/page_map.h"
#include "guest/memory/size_classes.h"

namespace exo::guest {

/// A block of the raw allocator holds
///
///     front guard (16 bytes or the alignment) | what was asked for | back guard | Trailer
///
/// The raw allocator's links lie in the front guard, so a write after free does not hurt its lists.
template <class Allocator>
class CheckedAllocator {
  public:
    using Cache = typename Allocator::Cache;

    CheckedAllocator(Allocator& raw, HeapFaultHandler handler) : raw_(raw), handler_(handler) {}

    /// As HybridAllocator::allocate; `origin` is the code address to report.
    void* allocate(Cache& cache, std::size_t size, std::size_t alignment, std::uintptr_t origin) {
        const std::size_t front = std::max(alignment, least_front);
        std::size_t bytes = 0;
        if (__builtin_add_overflow(size, front + sizeof(Trailer), &bytes)) return nullptr;
        auto* const start = static_cast<std::byte*>(raw_.allocate(cache, bytes, alignment));
        if (start == nullptr) return nullptr;
        const Block block = find(start);
        if (block.is_free()) check_poison(block, origin);
        block.trailer() = {.state = block.live_state(),
                           .size = size,
                           .front = front,
                           .sequence = __atomic_add_fetch(&sequence_, 1, __ATOMIC_RELAXED),
                           .allocated_by = origin,
                           .freed_by = 0};
        fill(block.front_guard(), guard);
        fill(block.user(), uninitialised);
        fill(block.back_guard(), guard);
        return block.user().data();
    }

    static constexpr std::size_t unknown_size = ~std::size_t{0};

    void deallocate(Cache& cache, void* pointer, std::size_t size, std::uintptr_t origin) {
        if (pointer == nullptr) return;
        const Block block = find(pointer);
        if (!block.is_live() || block.user().data() != pointer) {
            const bool twice = block.is_free() && block.user().data() == pointer;
            report(twice ? HeapFaultKind::double_free : HeapFaultKind::foreign_pointer, pointer, block,
                   origin);
            return;
        }
        const Trailer& trailer = block.trailer();
        if (size != unknown_size && size != trailer.size)
            report(HeapFaultKind::wrong_size, pointer, block, origin);
        if (!holds(block.front_guard(), guard)) report(HeapFaultKind::underrun, pointer, block, origin);
        if (!holds(block.back_guard(), guard)) report(HeapFaultKind::overrun, pointer, block, origin);
        fill(block.user(), poison);
        fill(block.back_guard(), guard);
        block.trailer().state = block.free_state();
        block.trailer().freed_by = origin;
        raw_.deallocate(cache, block.start);
    }

    /// Stamps allocations from now on: `leaks` can leave out what was there before.
    std::uint64_t mark() const { return __atomic_load_n(&sequence_, __ATOMIC_RELAXED); }

    /// Sums up by origin what was allocated after `mark` and is not freed, into as many sites as fit; returns
    /// how many sites were filled. Nobody else may use the heap meanwhile.
    std::size_t leaks(std::uint64_t mark, std::span<LeakSite> sites) const {
        std::size_t used = 0;
        for_each_live([&](const Trailer& trailer) {
            if (trailer.sequence <= mark) return;
            std::size_t i = 0;
            while (i < used && sites[i].allocated_by != trailer.allocated_by) ++i;
            if (i == sites.size()) return;
            if (i == used) sites[used++] = {.allocated_by = trailer.allocated_by};
            ++sites[i].allocations;
            sites[i].bytes += trailer.size;
        });
        std::ranges::sort(sites.first(used), std::ranges::greater{}, &LeakSite::bytes);
        return used;
    }

  private:
    struct Trailer {
        std::uint64_t state;
        std::size_t size;
        std::size_t front;
        std::uint64_t sequence;
        std::uintptr_t allocated_by;
        std::uintptr_t freed_by;
    };

    struct Block {
        std::byte* start = nullptr;
        std::size_t bytes = 0;
        std::uint32_t generation = 0;  ///< tells a slab from what the page was before

        Trailer& trailer() const { return *reinterpret_cast<Trailer*>(start + bytes - sizeof(Trailer)); }
        std::span<std::byte> front_guard() const { return {start, trailer().front}; }
        std::span<std::byte> user() const { return {start + trailer().front, trailer().size}; }
        std::span<std::byte> back_guard() const {
            std::byte* const end = start + trailer().front + trailer().size;
            return {end, reinterpret_cast<std::byte*>(&trailer())};
        }
        bool is_live() const { return start != nullptr && trailer().state == live_state(); }
        bool is_free() const {
            return start != nullptr && generation != 0 && trailer().state == free_state();
        }
        std::uint64_t live_state() const { return state_of(0x4556'494c'2d4f'5845); }
        /// What is left of a large block is soon another's, so it is not told from memory never used.
        std::uint64_t free_state() const { return generation == 0 ? 0 : state_of(0x4545'5246'2d4f'5845); }
        std::uint64_t state_of(std::uint64_t name) const {
            return name ^ reinterpret_cast<std::uintptr_t>(start) ^ std::uint64_t{generation} << 32;
        }
    };

    static constexpr std::size_t least_front = 16;
    static constexpr auto guard = std::byte{0xfd};
    static constexpr auto poison = std::byte{0xdd};
    static constexpr auto uninitialised = std::byte{0xcd};

    static void fill(std::span<std::byte> bytes, std::byte value) {
        if (!bytes.empty()) __builtin_memset(bytes.data(), static_cast<int>(value), bytes.size());
    }
    /// Byte by byte equal to the first, and that to the value.
    static bool holds(std::span<const std::byte> bytes, std::byte value) {
        return bytes.empty() || (bytes.front() == value &&
                                 __builtin_memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
    }

    /// The block that a pointer lies in, or none.
    Block find(void* pointer) const {
        const PageMap& map = raw_.map();
        if (!map.contains(pointer)) return {};
        PageIndex page = map.index_of(pointer);
        // Alignment above a page puts the allocation behind its block's first page.
        while (page > 0 && map[page].kind == PageKind::interior) --page;
        const PageInfo& info = map[page];
        if (info.kind == PageKind::large) return large_at(page);
        if (info.kind == PageKind::span) return piece_at(pointer);
        if (info.kind != PageKind::slab || page != map.index_of(pointer)) return {};
        return object_in(page,
                         static_cast<std::size_t>(static_cast<std::byte*>(pointer) - map.address_of(page)));
    }
    Block large_at(PageIndex page) const {
        const PageMap& map = raw_.map();
        return {map.address_of(page), map[page].run_pages * heap_page_size, 0};
    }
    Block piece_at(const void* pointer) const {
        const PageMap& map = raw_.map();
        const Piece piece = GranuleSpan(map, map.index_of(pointer)).piece_at(pointer);
        return piece.granules == 0 ? Block{} : Block{piece.start, piece.granules * granule_bytes, 0};
    }
    Block object_in(PageIndex page, std::size_t offset) const {
        const PageInfo& info = raw_.map()[page];
        const std::size_t bytes = size_class_bytes[info.level];
        if (offset < info.colour || (offset - info.colour) / bytes >= info.fresh) return {};
        return {raw_.map().address_of(page) + info.colour + (offset - info.colour) / bytes * bytes, bytes,
                info.run_pages};
    }

    template <class Visit>
    void for_each_live(Visit visit) const {
        const PageMap& map = raw_.map();
        for (PageIndex page = 0; page < map.size(); ++page) {
            const PageInfo& info = map[page];
            if (info.kind == PageKind::large) {
                const Block block = large_at(page);
                if (block.is_live()) visit(block.trailer());
            }
            if (info.kind == PageKind::span) for_each_live_piece(page, visit);
            if (info.kind != PageKind::slab) continue;
            for (std::size_t i = 0; i < info.fresh; ++i) {
                const Block block = object_in(page, info.colour + i * size_class_bytes[info.level]);
                if (block.is_live()) visit(block.trailer());
            }
        }
    }

    /// Those that begin in this page of a span.
    template <class Visit>
    void for_each_live_piece(PageIndex page, Visit visit) const {
        std::byte* const start = raw_.map().address_of(page);
        for (std::size_t offset = 0; offset < heap_page_size; offset += granule_bytes) {
            const Block block = piece_at(start + offset);
            if (block.start == start + offset && block.is_live()) visit(block.trailer());
        }
    }

    void check_poison(const Block& block, std::uintptr_t origin) {
        if (!holds(block.user(), poison) || !holds(block.back_guard(), guard))
            report(HeapFaultKind::use_after_free, block.user().data(), block, origin);
    }

    void report(HeapFaultKind kind, const void* pointer, const Block& block, std::uintptr_t origin) {
        HeapFault fault{.kind = kind, .pointer = pointer, .found_by = origin};
        if (block.is_live() || block.is_free()) {
            fault.size = block.trailer().size;
            fault.allocated_by = block.trailer().allocated_by;
            fault.freed_by = block.trailer().freed_by;
        }
        handler_(fault);
    }

    Allocator& raw_;
    HeapFaultHandler handler_;
    std::uint64_t sequence_ = 0;
};

}  // namespace exo::guest
