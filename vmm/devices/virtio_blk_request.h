#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "shared/block/protocol.h"
#include "vmm/devices/disk_limits.h"
#include "vmm/devices/virtio_abi.h"
#include "vmm/devices/virtqueue.h"
#include "vmm/storage/disk.h"

namespace exo::vmm {

/// The most that one discard or write-zeroes request may be about: 2 GiB.
inline constexpr std::uint32_t virtio_blk_max_range_sectors = 1u << 22;

struct VirtioBlkLimits : DiskLimits {
    std::uint64_t features = 0;  ///< that the driver accepted
    std::array<char, virtio::blk::id_size> id{};

    bool has(std::uint64_t feature) const { return (features & feature) != 0; }
};

/// A request in the host's terms.
struct VirtioBlkRequest {
    /// What to tell the driver at once; ok for a request that goes to the disk, or was carried out already.
    block::Status status = block::Status::ok;
    bool needs_disk = false;
    std::uint16_t head = 0;
    std::byte* status_byte = nullptr;
    DiskOperation operation = DiskOperation::read;
    bool fua = false;
    bool may_unmap = false;
    std::uint64_t offset = 0;    ///< bytes
    std::uint64_t bytes = 0;     ///< that the disk moves, or that the range has
    std::uint64_t writable = 0;  ///< bytes of guest memory that a success fills, the status among them
    std::vector<iovec> segments;
};

/// Takes a chain apart (5.2.6); its header and ranges are copied once. False when it is no request at all:
/// without room for a header or for a status.
bool parse_virtio_blk(DescriptorChain& chain, const VirtioBlkLimits& limits, VirtioBlkRequest& request);

/// What the driver is told.
virtio::blk::Status virtio_blk_status(block::Status status);

}  // namespace exo::vmm
