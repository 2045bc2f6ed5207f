// What each level of the allocator counts.
#pragma once

#include <cstdint>

#include "guest/memory/buddy.h"

namespace exo::guest {

/// `part` of `whole` in hundredths of a percent; an untouched cache has missed nothing.
constexpr std::uint64_t share_in_10000(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 10'000 : part * 10'000 / whole;
}

struct ThreadCacheStatistics {
    std::uint64_t allocations = 0;
    std::uint64_t misses = 0;  ///< allocations that had to ask the CPU's slabs
    std::uint64_t frees = 0;
    std::uint64_t overflows = 0;  ///< chains handed down to the CPU's slabs
    std::uint64_t tunings = 0;

    /// Hundredths of a percent.
    std::uint64_t hit_rate() const { return share_in_10000(allocations - misses, allocations); }
    ThreadCacheStatistics& operator+=(const ThreadCacheStatistics& other) {
        allocations += other.allocations;
        misses += other.misses;
        frees += other.frees;
        overflows += other.overflows;
        tunings += other.tunings;
        return *this;
    }
};

struct CpuSlabStatistics {
    std::uint64_t refills = 0;
    std::uint64_t chain_hits = 0;       ///< refills by a chain that came down whole
    std::uint64_t new_slabs = 0;        ///< pages taken from the buddy
    std::uint64_t released_slabs = 0;   ///< pages given back
    std::uint64_t spilled_objects = 0;  ///< sorted back into their slabs
    std::uint64_t remote_objects = 0;   ///< of these, sent to slabs of other CPUs
    std::uint64_t remote_batches = 0;
    std::uint64_t received_objects = 0;  ///< from other CPUs
    std::uint64_t chained_objects = 0;   ///< in whole chains now

    std::uint64_t slabs() const { return new_slabs - released_slabs; }
    /// Refills that needed no page of the buddy, in hundredths of a percent.
    std::uint64_t hit_rate() const {
        return share_in_10000(refills > new_slabs ? refills - new_slabs : 0, refills);
    }
    CpuSlabStatistics& operator+=(const CpuSlabStatistics& other) {
        refills += other.refills;
        chain_hits += other.chain_hits;
        new_slabs += other.new_slabs;
        released_slabs += other.released_slabs;
        spilled_objects += other.spilled_objects;
        remote_objects += other.remote_objects;
        remote_batches += other.remote_batches;
        received_objects += other.received_objects;
        chained_objects += other.chained_objects;
        return *this;
    }
};

/// Allocations of granules and of whole pages; what thread caches keep of them is not counted.
struct LargeStatistics {
    std::uint64_t allocations = 0;  ///< by the buddy, since the start
    std::uint64_t live = 0;
    std::uint64_t pages = 0;  ///< held now, whole spans included
};

struct HeapStatistics {
    ThreadCacheStatistics thread_caches;
    CpuSlabStatistics cpu_slabs;
    BuddyAllocator::Statistics buddy;
    LargeStatistics large;
    std::uint64_t live_objects = 0;  ///< of all size classes
    std::uint64_t live_bytes = 0;    ///< of these, in the sizes of their classes
};

}  // namespace exo::guest
