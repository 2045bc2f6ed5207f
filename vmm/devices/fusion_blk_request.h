#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <vector>

#include "shared/block/protocol.h"
#include "vmm/base/guest_memory.h"
#include "vmm/devices/disk_limits.h"
#include "vmm/storage/disk.h"

namespace exo::vmm {

struct FusionBlkLimits : DiskLimits {
    std::uint64_t features = 0;  ///< block::Feature bits that the driver accepted

    bool has(block::Feature feature) const { return (features & static_cast<std::uint64_t>(feature)) != 0; }
};

inline constexpr std::uint32_t fusion_blk_max_transfer = 1u << 20;

/// A request in the host's terms: every piece of memory lies in guest RAM, every sector on the disk.
struct CheckedRequest {
    DiskOperation operation = DiskOperation::read;
    block::Urgency urgency = block::Urgency::normal;
    bool barrier = false;
    bool fua = false;
    std::uint64_t offset = 0;  ///< bytes
    std::uint32_t bytes = 0;
    std::vector<iovec> segments;
};

/// Checks everything about a private copy of a request; the table of an indirect one is copied here, once.
/// `checked` is complete when the answer is ok, and otherwise only fit to be used again.
block::Status check_request(const block::Request& request, const GuestMemory& memory,
                            const FusionBlkLimits& limits, CheckedRequest& checked);

}  // namespace exo::vmm
