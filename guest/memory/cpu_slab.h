// The middle level: one for each CPU. It passes whole chains up and down, keeps a few of them, and beneath
// that splits pages of the buddy into objects of one size.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/arch/spin_lock.h"
#include "guest/memory/free_object.h"
#include "guest/memory/heap_statistics.h"
#include "guest/memory/packed_objects.h"
#include "guest/memory/page_supply.h"
#include "guest/memory/remote_frees.h"
#include "guest/memory/size_classes.h"

namespace exo::guest {

/// The pages of slabs, in numbers.
struct SlabGeometry {
    /// Free memory between slabs' first objects, so that they do not all compete for the same cache sets.
    static constexpr std::size_t colour_step(SizeClass size_class) {
        return std::max<std::size_t>(size_class_alignment(size_class), 64);
    }
    static constexpr std::uint16_t capacity(SizeClass size_class) {
        return static_cast<std::uint16_t>(heap_page_size / size_class_bytes[size_class]);
    }
    /// Slabs that hold so many objects.
    static constexpr std::size_t pages_for(SizeClass size_class, std::size_t objects) {
        return (objects + capacity(size_class) - 1) / capacity(size_class);
    }
    static constexpr std::size_t colours(SizeClass size_class) {
        const std::size_t rest = heap_page_size % size_class_bytes[size_class];
        return rest / colour_step(size_class) + 1;
    }
};

/// Locked as a whole: on its own CPU nobody contends, and a thread that was moved to another CPU in between,
/// or a reclaim from afar, is still correct. `Platform` gives `Lock` and `Atomics`.
template <class Platform>
class alignas(64) CpuSlab {
  public:
    using Lock = typename Platform::Lock;
    using Atomics = typename Platform::Atomics;
    using Inbox = SlabInbox<Atomics>;

    /// Objects in a full chain.
    static constexpr std::uint32_t chain_objects = 32;
    /// Bounds of what is kept in chains, for each class.
    static constexpr std::size_t max_chains = 16;
    static constexpr std::size_t chain_bytes = std::size_t{64} << 10;

    /// `inboxes` has one for each CPU.
    CpuSlab(PageSupply<Lock>& pages, std::span<Inbox> inboxes, std::uint16_t cpu)
        : pages_(pages), map_(pages.map()), inboxes_(inboxes), cpu_(cpu) {
        for (Class& c : classes_) c.partial = no_page;
    }

    /// At most `want` objects (1 … chain_objects); fewer, or none, only when the buddy is empty.
    Chain refill(SizeClass size_class, std::uint32_t want) {
        const Locked guard(lock_);
        Class& c = classes_[size_class];
        ++c.statistics.refills;
        if (c.chain_count > 0) {
            ++c.statistics.chain_hits;
            return take_chain(c, want);
        }
        if (!inboxes_[cpu_].empty()) receive();
        return build_chain(size_class, want);
    }

    /// Takes objects back; they may belong to slabs of any CPU.
    void give(SizeClass size_class, Chain chain) {
        const Locked guard(lock_);
        Class& c = classes_[size_class];
        if (c.chain_count < chain_limit(size_class)) {
            c.chains[c.chain_count++] = chain;
            return;
        }
        spill(size_class, chain);
    }

    /// Gives back to the slabs, and empty slabs to the buddy, all that can be.
    void trim() {
        const Locked guard(lock_);
        receive();
        for (SizeClass size_class = 0; size_class < size_class_count; ++size_class) {
            Class& c = classes_[size_class];
            while (c.chain_count > 0) spill(size_class, c.chains[--c.chain_count]);
            release_empty_slabs(size_class);
        }
    }

    /// Spills half of the chains that nobody has needed since the last call.
    void tune(SizeClass size_class) {
        const Locked guard(lock_);
        Class& c = classes_[size_class];
        for (std::uint32_t surplus = (c.fewest_chains + 1U) / 2; surplus > 0 && c.chain_count > 0; --surplus)
            spill(size_class, c.chains[--c.chain_count]);
        c.fewest_chains = c.chain_count;
    }

    CpuSlabStatistics statistics(SizeClass size_class) {
        const Locked guard(lock_);
        const Class& c = classes_[size_class];
        CpuSlabStatistics result = c.statistics;
        for (std::size_t i = 0; i < c.chain_count; ++i) result.chained_objects += c.chains[i].count;
        return result;
    }

    static constexpr std::size_t chain_limit(SizeClass size_class) {
        return std::clamp<std::size_t>(chain_bytes / chain_objects / size_class_bytes[size_class], 1,
                                       max_chains);
    }

  private:
    struct Class {
        PageIndex partial;  ///< slabs that have objects left
        std::uint8_t chain_count = 0;
        std::uint8_t fewest_chains = 0;  ///< since the last tuning
        std::uint16_t next_colour = 0;
        std::uint16_t empty_slabs = 0;  ///< of `partial`, those with no object in use
        std::array<Chain, max_chains> chains;
        CpuSlabStatistics statistics;
    };

    /// Objects of one slab, collected before they are handed over together.
    struct Batch {
        PageIndex page = no_page;
        FreeObject* head = nullptr;
        FreeObject* tail = nullptr;
        std::uint32_t count = 0;
    };

    static constexpr std::uint16_t no_object = 0xffff;

    Chain take_chain(Class& c, std::uint32_t want) {
        Chain& top = c.chains[c.chain_count - 1];
        if (top.count > want) return split_front(top, want);
        --c.chain_count;
        c.fewest_chains = std::min(c.fewest_chains, c.chain_count);
        return top;
    }

    Chain build_chain(SizeClass size_class, std::uint32_t want) {
        Class& c = classes_[size_class];
        Chain chain;
        FreeObject** link = &chain.head;
        while (chain.count < want) {
            if (c.partial == no_page && !add_slab(size_class)) break;
            const PageIndex page = c.partial;
            if (is_empty(page)) --c.empty_slabs;
            link = take_listed(page, want, chain, link);
            link = take_fresh(page, size_class, want, chain, link);
            const PageInfo& info = map_[page];
            if (info.free_count == 0 && info.fresh == SlabGeometry::capacity(size_class)) unlink(c, page);
        }
        *link = nullptr;
        return chain;
    }

    FreeObject** take_listed(PageIndex page, std::uint32_t want, Chain& chain, FreeObject** link) {
        PageInfo& info = map_[page];
        if (info.free_count == 0) return link;
        FreeObject* object = object_at(page, info.free_head);
        *link = object;
        for (;;) {
            ++chain.count;
            --info.free_count;
            link = &object->next;
            if (info.free_count == 0 || chain.count == want) break;
            object = object->next;
        }
        info.free_head = info.free_count == 0 ? no_object : offset_in(page, *link);
        return link;
    }

    /// Objects that were never used, in the order of their addresses.
    FreeObject** take_fresh(PageIndex page, SizeClass size_class, std::uint32_t want, Chain& chain,
                            FreeObject** link) {
        PageInfo& info = map_[page];
        const std::size_t bytes = size_class_bytes[size_class];
        const auto left = static_cast<std::uint32_t>(SlabGeometry::capacity(size_class) - info.fresh);
        const std::uint32_t count = std::min(want - chain.count, left);
        std::byte* next = map_.address_of(page) + info.colour + info.fresh * bytes;
        for (std::uint32_t i = 0; i < count; ++i, next += bytes) {
            auto* const object = reinterpret_cast<FreeObject*>(next);
            *link = object;
            link = &object->next;
        }
        chain.count += count;
        info.fresh = static_cast<std::uint16_t>(info.fresh + count);
        return link;
    }

    bool add_slab(SizeClass size_class) {
        const PageIndex page = pages_.take_slab(size_class);
        if (page == no_page) return false;
        Class& c = classes_[size_class];
        PageInfo& info = map_[page];
        info.owner = cpu_;
        info.free_head = no_object;
        info.free_count = 0;
        info.fresh = 0;
        info.colour = static_cast<std::uint16_t>(c.next_colour * SlabGeometry::colour_step(size_class));
        info.remote = 0;
        info.run_pages = static_cast<std::uint32_t>(c.statistics.new_slabs * size_class_count + size_class);
        if (++c.next_colour == SlabGeometry::colours(size_class)) c.next_colour = 0;
        ++c.statistics.new_slabs;
        ++c.empty_slabs;
        link_front(c, page);
        return true;
    }

    /// Sorts a chain by slab; eight slabs are collected at a time.
    void spill(SizeClass size_class, Chain chain) {
        std::array<Batch, 8> batches;
        classes_[size_class].statistics.spilled_objects += chain.count;
        for (FreeObject* object = chain.head; object != nullptr;) {
            FreeObject* const next = object->next;
            const PageIndex page = map_.index_of(object);
            Batch& batch = batches[page % batches.size()];
            if (batch.page != page) {
                deliver(size_class, batch);
                batch = {.page = page, .tail = object};
            }
            object->next = batch.head;
            batch.head = object;
            ++batch.count;
            object = next;
        }
        for (const Batch& batch : batches) deliver(size_class, batch);
    }

    void deliver(SizeClass size_class, const Batch& batch) {
        if (batch.page == no_page) return;
        const std::uint16_t owner = map_[batch.page].owner;
        if (owner == cpu_) {
            put_back(batch);
            return;
        }
        const PackedObjects::List packed =
            PackedObjects::pack(map_.address_of(batch.page), size_class, batch.head);
        inboxes_[owner].send(map_, batch.page, packed.head, packed.tail, batch.count);
        classes_[size_class].statistics.remote_objects += batch.count;
        ++classes_[size_class].statistics.remote_batches;
    }

    void receive() {
        inboxes_[cpu_].drain(map_, [this](PageIndex page, Chain chain) {
            const SizeClass size_class = map_[page].level;
            classes_[size_class].statistics.received_objects += chain.count;
            const PackedObjects::List objects =
                PackedObjects::unpack(map_.address_of(page), size_class, chain.head);
            put_back({.page = page, .head = objects.head, .tail = objects.tail, .count = chain.count});
        });
    }

    bool is_empty(PageIndex page) const { return map_[page].free_count == map_[page].fresh; }

    /// Objects return to their slab, which goes back to the buddy when it is empty and a refill could do
    /// without it.
    void put_back(const Batch& batch) {
        PageInfo& info = map_[batch.page];
        const SizeClass size_class = info.level;
        Class& c = classes_[size_class];
        const bool was_full = info.free_count == 0 && info.fresh == SlabGeometry::capacity(size_class);
        if (info.free_count != 0) batch.tail->next = object_at(batch.page, info.free_head);
        info.free_head = offset_in(batch.page, batch.head);
        info.free_count = static_cast<std::uint16_t>(info.free_count + batch.count);
        if (was_full) link_front(c, batch.page);
        if (!is_empty(batch.page)) return;
        ++c.empty_slabs;
        if (c.empty_slabs > SlabGeometry::pages_for(size_class, chain_objects)) release(c, batch.page);
    }

    void release_empty_slabs(SizeClass size_class) {
        Class& c = classes_[size_class];
        for (PageIndex page = c.partial; page != no_page;) {
            const PageIndex next = map_[page].next;
            if (is_empty(page)) release(c, page);
            page = next;
        }
    }

    void release(Class& c, PageIndex page) {
        unlink(c, page);
        --c.empty_slabs;
        pages_.give_slab(page);
        ++c.statistics.released_slabs;
    }

    void link_front(Class& c, PageIndex page) {
        PageInfo& info = map_[page];
        info.previous = no_page;
        info.next = c.partial;
        if (info.next != no_page) map_[info.next].previous = page;
        c.partial = page;
    }

    void unlink(Class& c, PageIndex page) {
        const PageInfo& info = map_[page];
        if (info.previous != no_page) {
            map_[info.previous].next = info.next;
        } else {
            c.partial = info.next;
        }
        if (info.next != no_page) map_[info.next].previous = info.previous;
    }

    FreeObject* object_at(PageIndex page, std::uint16_t offset) const {
        return reinterpret_cast<FreeObject*>(map_.address_of(page) + std::size_t{offset} * 8);
    }
    std::uint16_t offset_in(PageIndex page, const FreeObject* object) const {
        const auto offset = reinterpret_cast<const std::byte*>(object) - map_.address_of(page);
        return static_cast<std::uint16_t>(offset / 8);
    }

    PageSupply<Lock>& pages_;
    const PageMap map_;
    std::span<Inbox> inboxes_;
    std::uint16_t cpu_;
    Lock lock_;
    std::array<Class, size_class_count> classes_;
};

}  // namespace exo::guest
