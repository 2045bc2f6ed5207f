#pragma once

#include <array>
#include <cstdint>

#include "shared/block/protocol.h"
#include "vmm/storage/disk.h"

namespace exo::vmm {

/// What a disk device has done since it was made; resets do not clear it.
struct DiskCounters {
    std::uint64_t doorbells = 0;  ///< that reached the device; the guest may have rung for one pick-up twice
    std::uint64_t interrupts = 0;
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t flushes = 0;
    std::uint64_t discards = 0;
    std::uint64_t zeroed_ranges = 0;
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
    /// Completions by block::Status; [0] are those that succeeded.
    std::array<std::uint64_t, block::status_count> completions{};
    /// Submissions that no correct driver makes: refused requests, and queues that break the protocol.
    std::uint64_t bad_descriptors = 0;
    std::uint64_t held_back = 0;  ///< times when a fusion completion ring was full
    std::uint64_t resets = 0;

    /// A request that the disk has carried out.
    void add(DiskOperation operation, std::uint64_t bytes) {
        switch (operation) {
            case DiskOperation::read:
                ++reads;
                bytes_read += bytes;
                break;
            case DiskOperation::write:
                ++writes;
                bytes_written += bytes;
                break;
            case DiskOperation::flush:
                ++flushes;
                break;
            case DiskOperation::discard:
                ++discards;
                break;
            case DiskOperation::write_zeroes:
                ++zeroed_ranges;
                break;
        }
    }
};

}  // namespace exo::vmm
