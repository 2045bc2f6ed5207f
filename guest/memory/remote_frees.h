// How a CPU hands objects back to slabs of other CPUs: many senders, no lock, a batch a slab. A slab's word
// collects the objects; the first batch since the owner last looked also puts the slab into the owner's
// inbox.
//
//   sender                                     owner
//   word: (old list) → batch + old list        inbox: take the whole list of slabs
//   was the slab not queued yet?               for each: read its link, then word: list → empty, not queued
//     inbox: slab → front
//
// The owner reads the link before it clears the word: from then on a sender may queue the slab again. Objects
// in the word still count as in use, so a slab that waits here is never given back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/memory/free_object.h"
#include "guest/memory/page_map.h"

namespace exo::guest {

/// What PageInfo::remote says: offset of the first object in units of 8 bytes (9 bits), number of objects
/// (10 bits, at most 512), and whether the slab is in its owner's inbox.
struct RemoteWord {
    static constexpr std::uint32_t queued = 1U << 31;

    static constexpr std::uint32_t pack(std::size_t offset, std::uint32_t count) {
        return static_cast<std::uint32_t>(offset / 8) | count << 9 | queued;
    }
    static constexpr std::size_t offset(std::uint32_t word) { return std::size_t{word & 0x1ff} * 8; }
    static constexpr std::uint32_t count(std::uint32_t word) { return word >> 9 & 0x3ff; }
};

/// The slabs of one CPU that others have freed objects of. `Atomics` is a policy like fusion::NativeAtomics.
template <class Atomics>
class alignas(64) SlabInbox {
  public:
    /// Any CPU: hands back `count` objects of the slab `page`, linked from `head` to `tail`.
    void send(const PageMap& map, PageIndex page, FreeObject* head, FreeObject* tail, std::uint32_t count) {
        PageInfo& info = map[page];
        std::byte* const base = map.address_of(page);
        const auto offset = static_cast<std::size_t>(reinterpret_cast<std::byte*>(head) - base);
        std::uint32_t before = Atomics::load_acquire(info.remote);
        std::uint32_t after = 0;
        do {
            link(*tail, first_object(base, before));
            after = RemoteWord::pack(offset, count + RemoteWord::count(before));
        } while (!Atomics::compare_exchange(info.remote, before, after));
        if ((before & RemoteWord::queued) == 0) queue(map, page);
    }

    bool empty() const { return Atomics::load_relaxed(first_) == 0; }

    /// The owner, one thread at a time: calls `receive(page, chain)` for every slab that waits.
    template <class Receive>
    void drain(const PageMap& map, Receive receive) {
        std::uint32_t slab = exchange(first_, 0);
        while (slab != 0) {
            const PageIndex page = slab - 1;
            PageInfo& info = map[page];
            slab = Atomics::load_relaxed(info.inbox_next);
            const std::uint32_t word = exchange(info.remote, 0);
            receive(page, Chain{first_object(map.address_of(page), word), RemoteWord::count(word)});
        }
    }

  private:
    static FreeObject* first_object(std::byte* base, std::uint32_t word) {
        if (RemoteWord::count(word) == 0) return nullptr;
        return reinterpret_cast<FreeObject*>(base + RemoteWord::offset(word));
    }

    /// Through the policy, for the explorer's sake: a plain store.
    static void link(FreeObject& object, FreeObject* next) {
        Atomics::copy_to_shared(reinterpret_cast<std::byte*>(&object.next),
                                reinterpret_cast<const std::byte*>(&next), sizeof next);
    }

    void queue(const PageMap& map, PageIndex page) {
        std::uint32_t front = Atomics::load_acquire(first_);
        do {
            Atomics::store_relaxed(map[page].inbox_next, front);
        } while (!Atomics::compare_exchange(first_, front, page + 1));
    }

    static std::uint32_t exchange(std::uint32_t& word, std::uint32_t value) {
        std::uint32_t before = Atomics::load_acquire(word);
        while (!Atomics::compare_exchange(word, before, value)) {
        }
        return before;
    }

    std::uint32_t first_ = 0;  ///< page index + 1; 0 ends the list, and also every link
};

}  // namespace exo::guest
