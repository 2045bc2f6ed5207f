#include "vmm/devices/virtio_blk_request.h"

#include <limits>
#include <span>
#include <utility>

#include "vmm/devices/iovecs.h"

namespace exo::vmm {
namespace {

namespace blk = virtio::blk;
using block::Status;

/// The length that the used ring can tell.
constexpr std::uint64_t max_transfer = std::numeric_limits<std::uint32_t>::max() - 1;

/// For a driver all that does not fit the disk is an I/O error (5.2.6.2).
Status place(std::uint64_t sector, const VirtioBlkLimits& limits, VirtioBlkRequest& request) {
    if (limits.check(sector, request.bytes) != Status::ok) return Status::out_of_range;
    request.offset = sector * block::sector_size;
    request.needs_disk = true;
    return Status::ok;
}

Status take_transfer(std::uint64_t sector, std::vector<iovec>& data, const VirtioBlkLimits& limits,
                     VirtioBlkRequest& request) {
    request.bytes = total_bytes(data);
    if (request.bytes == 0 || request.bytes % block::sector_size != 0 || request.bytes > max_transfer)
        return Status::out_of_range;
    std::swap(request.segments, data);
    return place(sector, limits, request);
}

Status take_write(std::uint64_t sector, DescriptorChain& chain, const VirtioBlkLimits& limits,
                  VirtioBlkRequest& request) {
    if (limits.read_only) return Status::read_only;
    request.operation = DiskOperation::write;
    // A driver that knows no flush counts on each write being stable when it ends (5.2.6.2).
    request.fua = !limits.has(blk::feature::flush);
    return take_transfer(sector, chain.readable, limits, request);
}

/// The error of a driver that asks for what it has not negotiated, or for what is unknown.
constexpr Status unsupported = Status::bad_request;

Status take_flush(const VirtioBlkLimits& limits, VirtioBlkRequest& request) {
    if (!limits.has(blk::feature::flush)) return unsupported;
    request.operation = DiskOperation::flush;
    request.needs_disk = true;
    return Status::ok;
}

Status take_range(DiskOperation operation, std::uint64_t feature, DescriptorChain& chain,
                  const VirtioBlkLimits& limits, VirtioBlkRequest& request) {
    const bool discards = operation == DiskOperation::discard;
    blk::Range range{};
    if (!limits.has(feature) || total_bytes(chain.readable) != sizeof(range)) return unsupported;
    // Without a flush there is no way to make zeroes stable.
    if (!discards && !limits.has(blk::feature::flush)) return unsupported;
    take_front(chain.readable, std::as_writable_bytes(std::span(&range, 1)));
    if ((range.flags & ~blk::range_unmap) != 0 || (discards && range.flags != 0)) return unsupported;
    if (limits.read_only) return Status::read_only;
    if (range.sectors == 0 || range.sectors > virtio_blk_max_range_sectors) return Status::out_of_range;
    request.operation = operation;
    request.may_unmap = range.flags != 0;
    request.bytes = std::uint64_t{range.sectors} * block::sector_size;
    return place(range.sector, limits, request);
}

Status take(const blk::Header& header, DescriptorChain& chain, const VirtioBlkLimits& limits,
            VirtioBlkRequest& request) {
    switch (header.type) {
        case blk::type_in:
            request.operation = DiskOperation::read;
            return take_transfer(header.sector, chain.writable, limits, request);
        case blk::type_out:
            return take_write(header.sector, chain, limits, request);
        case blk::type_flush:
            return take_flush(limits, request);
        case blk::type_get_id:
            copy_to(chain.writable, std::as_bytes(std::span(limits.id)));
            return Status::ok;
        case blk::type_discard:
            return take_range(DiskOperation::discard, blk::feature::discard, chain, limits, request);
        case blk::type_write_zeroes:
            return take_range(DiskOperation::write_zeroes, blk::feature::write_zeroes, chain, limits,
                              request);
        default:
            return unsupported;
    }
}

}  // namespace

bool parse_virtio_blk(DescriptorChain& chain, const VirtioBlkLimits& limits, VirtioBlkRequest& request) {
    request.needs_disk = false;
    request.head = chain.head;
    request.fua = false;
    request.may_unmap = false;
    request.offset = 0;
    request.bytes = 0;
    request.segments.clear();
    request.status_byte = take_last(chain.writable);
    blk::Header header{};
    if (request.status_byte == nullptr ||
        !take_front(chain.readable, std::as_writable_bytes(std::span(&header, 1))))
        return false;
    request.writable = total_bytes(chain.writable) + 1;
    request.status = take(header, chain, limits, request);
    if (request.status != Status::ok) request.needs_disk = false;
    return true;
}

blk::Status virtio_blk_status(Status status) {
    switch (status) {
        case Status::ok:
            return blk::Status::ok;
        case unsupported:
            return blk::Status::unsupported;
        default:
            return blk::Status::io_error;
    }
}

}  // namespace exo::vmm
