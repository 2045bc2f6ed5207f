#include "guest/drivers/block/block_device.h"

#include <algorithm>
#include <new>

#include "guest/drivers/block/adaptive_queue.h"
#include "guest/drivers/block/wait_by_plan.h"

namespace exo::guest {

std::string_view describe(BlockStatus status) {
    switch (status) {
        case BlockStatus::pending:
            return "not finished";
        case BlockStatus::ok:
            return "no error";
        case BlockStatus::medium_error:
            return "the device reports an error of the medium";
        case BlockStatus::invalid_request:
            return "the request is empty, misaligned or too large";
        case BlockStatus::out_of_range:
            return "past the end of the disk";
        case BlockStatus::read_only:
            return "the disk is read-only";
        case BlockStatus::no_space:
            return "the host's storage is full";
        case BlockStatus::unsupported:
            return "the device does not know the operation";
        case BlockStatus::timed_out:
            return "the device did not answer in time";
        case BlockStatus::device_failed:
            return "the device broke its protocol and was switched off";
    }
    return "unknown";
}

std::size_t BlockQueue::wait(const IoPlan& plan, std::uint64_t deadline_ns, TimeSource& time) {
    const std::uint64_t out = counters().submitted - counters().completed;
    return wait_by_plan(*this, plan, out, deadline_ns, time, [this](bool) { return poll(); }).ended;
}

BlockDevice::BlockDevice() = default;
BlockDevice::~BlockDevice() = default;

Result<void> BlockDevice::start_queues(const DriverServices& services) {
    is_adaptive_ = services.adaptive;
    if (is_adaptive_) mode_.reset();
    for (unsigned i = 0; i < queue_count(); ++i) {
        adaptive_[i].reset(new (std::nothrow) AdaptiveQueue(*this, queue(i), services.time));
        if (adaptive_[i] == nullptr) return out_of_memory("cannot use a disk");
    }
    configure_queues();
    return {};
}

bool BlockDevice::allows(std::optional<IoMode> mode) const {
    if (!is_adaptive_) return mode == IoMode::interrupt;
    return !mode || info().modes.has(*mode);
}

bool BlockDevice::set_mode(std::optional<IoMode> mode) {
    if (!allows(mode)) return false;
    mode_ = mode;
    configure_queues();
    return true;
}

void BlockDevice::set_price(CpuPrice price) {
    price_ = price;
    configure_queues();
}

void BlockDevice::configure_queues() {
    for (unsigned i = 0; i < queue_count(); ++i)
        adaptive_[i]->configure({.price = price_, .fixed = mode_, .modes = info().modes});
}

BlockStatus check_request(const DiskInfo& info, const BlockRequest& request) {
    if ((request.fua && !info.has_fua) || (request.barrier && !info.has_barrier))
        return BlockStatus::unsupported;
    if (request.operation == BlockOperation::flush)
        return request.segments.empty() ? BlockStatus::ok : BlockStatus::invalid_request;
    if (request.operation == BlockOperation::write && info.read_only) return BlockStatus::read_only;
    if (request.segments.empty() || request.segments.size() > info.max_segments)
        return BlockStatus::invalid_request;
    std::uint64_t bytes = 0;
    for (const DmaSpan& segment : request.segments) {
        const bool fits = segment.size > 0 && segment.size % info.logical_block == 0 &&
                          segment.size <= info.max_transfer - bytes;
        if (!fits) return BlockStatus::invalid_request;
        bytes += segment.size;
    }
    if (request.sector % (info.logical_block / sector_size) != 0) return BlockStatus::invalid_request;
    const std::uint64_t sectors = bytes / sector_size;
    if (request.sector > info.sectors || sectors > info.sectors - request.sector)
        return BlockStatus::out_of_range;
    return BlockStatus::ok;
}

std::optional<BlockStatus> end_before_device(const DiskInfo& info, const BlockRequest& request, bool dead) {
    const BlockStatus status = dead ? BlockStatus::device_failed : check_request(info, request);
    const bool needs_device = request.operation != BlockOperation::flush || info.has_flush;
    if (status == BlockStatus::ok && needs_device) return std::nullopt;
    return status;
}

}  // namespace exo::guest
