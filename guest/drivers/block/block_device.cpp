#include "guest/drivers/block/block_device.h"

#include <algorithm>

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

std::string_view describe(WaitMode mode) {
    switch (mode) {
        case WaitMode::interrupt:
            return "interrupt";
        case WaitMode::polling:
            return "polling";
        case WaitMode::hybrid:
            return "hybrid";
    }
    return "unknown";
}

std::size_t BlockQueue::wait(const WaitPolicy& policy, std::uint64_t deadline_ns, TimeSource& time) {
    const bool may_sleep = policy.mode != WaitMode::polling && has_interrupt();
    std::uint64_t poll_end = deadline_ns;
    if (may_sleep) {
        const std::uint64_t budget = policy.mode == WaitMode::hybrid ? policy.poll_budget_ns : 0;
        poll_end = std::min(deadline_ns, time.now_ns() + budget);
    }
    for (;;) {
        if (const std::size_t ended = poll(); ended > 0) return ended;
        if (time.now_ns() >= poll_end) break;
        time.relax();
    }
    return may_sleep ? wait_for_interrupt(deadline_ns) : 0;
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

}  // namespace exo::guest
