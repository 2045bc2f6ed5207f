#pragma once

#include <cstdint>

namespace exo::guest {

/// How full memory is, in bytes.
struct MemoryStatistics {
    std::uint64_t total;             ///< physical memory under the kernel's management
    std::uint64_t free;              ///< of it, not in use
    std::uint64_t heap_size;         ///< of what is in use, taken for the heap
    std::uint64_t heap_used;         ///< of the heap, handed out, headers included
    std::uint64_t heap_allocations;  ///< pieces handed out now
};

MemoryStatistics memory_statistics();

}  // namespace exo::guest
