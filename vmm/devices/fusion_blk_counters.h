#pragma once

#include <array>
#include <cstdint>

#include "shared/block/protocol.h"

namespace exo::vmm {

/// What a fusion-blk device has done since it was made; resets do not clear it.
struct FusionBlkCounters {
    std::uint64_t doorbells = 0;  ///< that reached the device; the guest may have rung for one pick-up twice
    std::uint64_t interrupts = 0;
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t flushes = 0;
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
    /// Completions by block::Status; [0] are those that succeeded.
    std::array<std::uint64_t, block::status_count> completions{};
    /// Submissions that no correct driver makes: refused requests, and slots or rings that break the
    /// protocol.
    std::uint64_t bad_descriptors = 0;
    std::uint64_t held_back = 0;  ///< times when the completion ring was full
    std::uint64_t resets = 0;
};

}  // namespace exo::vmm
