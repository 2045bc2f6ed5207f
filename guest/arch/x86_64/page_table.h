#pragma once

#include <stddef.h>
#include <stdint.h>

/// Four-level page tables (Intel SDM volume 3, 4.5), built in any memory: the loader builds the first ones in
/// memory from the firmware, the kernel its own in frames, unit tests theirs in a simulated machine. Only C
/// headers, because the loader includes it.
namespace exo::guest::arch {

/// Bits of an entry.
namespace page_bit {
inline constexpr uint64_t present = 1ull << 0;
inline constexpr uint64_t writable = 1ull << 1;
inline constexpr uint64_t write_through = 1ull << 3;
inline constexpr uint64_t cache_disable = 1ull << 4;
inline constexpr uint64_t large = 1ull << 7;
inline constexpr uint64_t global = 1ull << 8;
inline constexpr uint64_t no_execute = 1ull << 63;
inline constexpr uint64_t address = 0x000f'ffff'ffff'f000;
}  // namespace page_bit

inline constexpr uint64_t page_size = 4096;
inline constexpr uint64_t page_size_2m = 2ull << 20;
inline constexpr uint64_t page_size_1g = 1ull << 30;

/// What may be done with a page, by the kernel alone. There is no way to ask for writable and executable.
enum class PageAccess : uint8_t { read, read_write, read_execute };
enum class PageCaching : uint8_t { cached, uncached };

enum class MapResult : uint8_t {
    ok,
    invalid,         ///< empty, not page-aligned, not canonical, or beyond what addresses can say
    already_mapped,  ///< some page of the range is mapped; nothing was changed
    out_of_memory,   ///< no memory for a table; a part of the range may be mapped
};

struct Translation {
    bool mapped = false;
    uint64_t physical = 0;
    uint64_t page = 0;   ///< size of the page
    uint64_t entry = 0;  ///< the last-level entry, for its attribute bits
};

/// `Memory` says where tables live:
///   uint64_t allocate_table();               physical address of a zeroed page, 0 when there is none
///   uint64_t* table(uint64_t physical);      a table as this code sees it
///   void store(uint64_t* entry, uint64_t);   writes an entry that the processor may be walking
/// Every store leaves the tables in a valid state: what was mapped stays so, and no entry points to a table
/// that is not ready.
template <typename Memory>
class PageTable {
  public:
    /// `root` is the physical address of the top-level table. Pages are as large as alignment and `largest`
    /// (one of the three page sizes) allow.
    PageTable(Memory& memory, uint64_t root, uint64_t largest)
        : memory_(memory), root_(root), largest_(largest) {}

    uint64_t root() const { return root_; }

    MapResult map(uint64_t virtual_address, uint64_t physical, uint64_t size, PageAccess access,
                  PageCaching caching = PageCaching::cached) {
        const uint64_t last = virtual_address + (size - 1);
        if (size == 0 || (virtual_address | physical | size) % page_size != 0 || last < virtual_address ||
            !canonical(virtual_address) || !canonical(last) || (virtual_address ^ last) >> 47 != 0 ||
            ((physical + (size - 1)) & ~(page_bit::address | (page_size - 1))) != 0 ||
            physical + (size - 1) < physical)
            return MapResult::invalid;
        for (uint64_t done = 0; done < size;) {
            const Translation there = translate(virtual_address + done);
            if (there.mapped) return MapResult::already_mapped;
            done += there.page - (virtual_address + done) % there.page;
        }
        return fill(root_, page_size_1g * 512, virtual_address, physical, size, leaf_bits(access, caching));
    }

    /// Takes away the pages of a range that `map` filled: whole pages, all of them mapped, or else nothing is
    /// changed and the answer is `invalid`. Translations may stay cached until they are flushed. Tables stay.
    MapResult unmap(uint64_t virtual_address, uint64_t size) {
        if (size == 0 || virtual_address + (size - 1) < virtual_address) return MapResult::invalid;
        for (uint64_t done = 0; done < size;) {
            const Translation there = translate(virtual_address + done);
            if (!there.mapped || (virtual_address + done) % there.page != 0 || there.page > size - done)
                return MapResult::invalid;
            done += there.page;
        }
        for (uint64_t done = 0; done < size;) {
            const uint64_t page = translate(virtual_address + done).page;
            memory_.store(entry_of(virtual_address + done, page), 0);
            done += page;
        }
        return MapResult::ok;
    }

    /// What the processor would find at an address. When nothing is mapped, `page` is the size of the hole as
    /// far as one entry tells.
    Translation translate(uint64_t virtual_address) {
        if (!canonical(virtual_address)) return {.page = page_size};
        uint64_t table = root_;
        for (uint64_t span = page_size_1g * 512;; span /= 512) {
            const uint64_t entry = memory_.table(table)[virtual_address / span % 512];
            if ((entry & page_bit::present) == 0) return {.page = span};
            if (span == page_size || (entry & page_bit::large) != 0)
                return {.mapped = true,
                        .physical = (entry & page_bit::address & ~(span - 1)) + virtual_address % span,
                        .page = span,
                        .entry = entry};
            table = entry & page_bit::address;
        }
    }

  private:
    static bool canonical(uint64_t address) {
        return static_cast<uint64_t>(static_cast<int64_t>(address << 16) >> 16) == address;
    }

    static uint64_t leaf_bits(PageAccess access, PageCaching caching) {
        uint64_t bits = page_bit::present | page_bit::global;
        if (access == PageAccess::read_write) bits |= page_bit::writable;
        if (access != PageAccess::read_execute) bits |= page_bit::no_execute;
        if (caching == PageCaching::uncached) bits |= page_bit::cache_disable | page_bit::write_through;
        return bits;
    }

    /// The last-level entry of a page that is mapped.
    uint64_t* entry_of(uint64_t virtual_address, uint64_t page) {
        uint64_t table = root_;
        for (uint64_t span = page_size_1g * 512; span > page; span /= 512)
            table = memory_.table(table)[virtual_address / span % 512] & page_bit::address;
        return memory_.table(table) + virtual_address / page % 512;
    }

    /// Fills the part of one table, whose entries cover `span` bytes each, that the range lies in.
    MapResult fill(uint64_t table_address, uint64_t span, uint64_t virtual_address, uint64_t physical,
                   uint64_t size, uint64_t bits) {
        while (size != 0) {
            uint64_t* const entry = memory_.table(table_address) + virtual_address / span % 512;
            const uint64_t to_end = span - virtual_address % span;
            const uint64_t part = size < to_end ? size : to_end;
            const bool vacant = (*entry & page_bit::present) == 0;
            if (vacant && part == span && span <= largest_ && physical % span == 0) {
                memory_.store(entry, physical | bits | (span == page_size ? 0 : page_bit::large));
            } else {
                if (vacant) {
                    const uint64_t next = memory_.allocate_table();
                    if (next == 0) return MapResult::out_of_memory;
                    memory_.store(entry, next | page_bit::present | page_bit::writable);
                }
                const MapResult result =
                    fill(*entry & page_bit::address, span / 512, virtual_address, physical, part, bits);
                if (result != MapResult::ok) return result;
            }
            virtual_address += part;
            physical += part;
            size -= part;
        }
        return MapResult::ok;
    }

    Memory& memory_;
    uint64_t root_;
    uint64_t largest_;
};

}  // namespace exo::guest::arch
