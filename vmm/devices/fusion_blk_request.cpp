#include "vmm/devices/fusion_blk_request.h"

#include <array>
#include <cstring>
#include <span>

namespace exo::vmm {
namespace {

using block::Feature;
using block::Operation;
using block::Request;
using block::Segment;
using block::Status;

Status take_flags(const Request& request, const FusionBlkLimits& limits, CheckedRequest& checked) {
    const auto urgency = static_cast<block::Urgency>(request.flags & block::flag::urgency_mask);
    if ((request.flags & ~block::flag::known) != 0 || urgency > block::Urgency::relaxed)
        return Status::bad_request;
    checked.urgency = urgency;
    checked.barrier = (request.flags & block::flag::barrier) != 0;
    checked.fua = (request.flags & block::flag::fua) != 0;
    if (checked.fua && (!limits.has(Feature::flush) || request.operation != Operation::write))
        return Status::bad_request;
    return Status::ok;
}

Status take_flush(const Request& request, const FusionBlkLimits& limits, CheckedRequest& checked) {
    const bool plain =
        request.segment_count == 0 && request.sector == 0 && (request.flags & block::flag::indirect) == 0;
    if (!plain || !limits.has(Feature::flush)) return Status::bad_request;
    checked.operation = DiskOperation::flush;
    return Status::ok;
}

Status take_segments(std::span<const Segment> segments, const GuestMemory& memory, CheckedRequest& checked) {
    for (const Segment& segment : segments) {
        if (segment.reserved != 0 || segment.length == 0 || segment.length % block::sector_size != 0 ||
            segment.length > fusion_blk_max_transfer - checked.bytes)
            return Status::bad_request;
        const auto host = memory.span_at(GuestAddress{segment.address}, segment.length);
        if (!host) return Status::bad_address;
        checked.segments.push_back({host->data(), host->size()});
        checked.bytes += segment.length;
    }
    return Status::ok;
}

Status take_table(const Request& request, const GuestMemory& memory, const FusionBlkLimits& limits,
                  CheckedRequest& checked) {
    const Segment& name = request.segments[0];
    const std::uint32_t size = request.segment_count * std::uint32_t{sizeof(Segment)};
    if (!limits.has(Feature::indirect) || request.segment_count == 0 ||
        request.segment_count > block::indirect_segments || name.length != size || name.reserved != 0)
        return Status::bad_request;
    if (name.address % sizeof(Segment) != 0) return Status::bad_address;
    const auto shared = memory.span_at(GuestAddress{name.address}, size);
    if (!shared) return Status::bad_address;
    std::array<Segment, block::indirect_segments> table;
    std::memcpy(table.data(), shared->data(), size);
    return take_segments(std::span(table).first(request.segment_count), memory, checked);
}

Status take_range(const Request& request, const FusionBlkLimits& limits, CheckedRequest& checked) {
    checked.offset = request.sector * block::sector_size;
    return limits.check(request.sector, checked.bytes);
}

Status take_transfer(const Request& request, const GuestMemory& memory, const FusionBlkLimits& limits,
                     CheckedRequest& checked) {
    Status status = Status::bad_request;
    if ((request.flags & block::flag::indirect) != 0) {
        status = take_table(request, memory, limits, checked);
    } else if (request.segment_count > 0 && request.segment_count <= block::inline_segments) {
        status = take_segments(std::span(request.segments).first(request.segment_count), memory, checked);
    }
    if (status == Status::ok) status = take_range(request, limits, checked);
    return status;
}

}  // namespace

Status check_request(const Request& request, const GuestMemory& memory, const FusionBlkLimits& limits,
                     CheckedRequest& checked) {
    checked.segments.clear();
    checked.offset = 0;
    checked.bytes = 0;
    if (const Status status = take_flags(request, limits, checked); status != Status::ok) return status;
    switch (request.operation) {
        case Operation::flush:
            return take_flush(request, limits, checked);
        case Operation::read:
            checked.operation = DiskOperation::read;
            return take_transfer(request, memory, limits, checked);
        case Operation::write:
            checked.operation = DiskOperation::write;
            if (limits.read_only) return Status::read_only;
            return take_transfer(request, memory, limits, checked);
    }
    return Status::bad_request;
}

}  // namespace exo::vmm
