#pragma once

#include <cerrno>
#include <cstdint>

#include "shared/block/protocol.h"
#include "vmm/storage/disk.h"

namespace exo::vmm {

/// What a guest's request is held against, whatever the device that takes it.
struct DiskLimits {
    std::uint64_t sectors = 0;  ///< of 512 bytes
    std::uint32_t logical_block = block::sector_size;
    bool read_only = false;

    static DiskLimits of(const DiskGeometry& geometry) {
        return {geometry.size / block::sector_size, geometry.logical_block, geometry.read_only};
    }

    /// Whether `bytes` (whole sectors) from `sector` on lie on the disk and are whole blocks.
    block::Status check(std::uint64_t sector, std::uint64_t bytes) const {
        const std::uint64_t count = bytes / block::sector_size;
        if (sector > sectors || count > sectors - sector) return block::Status::out_of_range;
        if (sector * block::sector_size % logical_block != 0 || bytes % logical_block != 0)
            return block::Status::bad_request;
        return block::Status::ok;
    }
};

/// How a request for `asked` bytes went.
inline block::Status status_of(const DiskCompletion& completion, std::uint64_t asked) {
    switch (completion.error) {
        case 0:
            return completion.bytes == asked ? block::Status::ok : block::Status::io_error;
        case ENOSPC:
        case EDQUOT:
            return block::Status::no_space;
        default:
            return block::Status::io_error;
    }
}

}  // namespace exo::vmm
