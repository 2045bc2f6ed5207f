#include "guest/drivers/block/block_io.h"

#include <algorithm>
#include <cstring>

namespace exo::guest {
namespace {

Result<void> to_result(std::string_view what, BlockStatus status) {
    if (status == BlockStatus::ok) return {};
    return fail(what, describe(status));
}

}  // namespace

BlockStatus wait_for(BlockDevice& disk, BlockQueue& queue, BlockRequest& request, TimeSource& time) {
    const std::uint64_t deadline = time.now_ns() + disk.timeout_ns();
    while (!request.done()) {
        queue.wait(disk.wait_policy(), deadline, time);
        if (request.done() || time.now_ns() < deadline) continue;
        queue.recover();
        // What is still pending now was never in the queue.
        if (!request.done()) request.finish(BlockStatus::invalid_request);
    }
    return request.status.load(std::memory_order_acquire);
}

bool submit_one(BlockDevice& disk, BlockQueue& queue, BlockRequest& request, TimeSource& time) {
    const std::uint64_t deadline = time.now_ns() + disk.timeout_ns();
    BlockRequest* const one[] = {&request};
    while (queue.submit(one) == 0) {
        queue.wait(disk.wait_policy(), deadline, time);
        if (time.now_ns() < deadline) continue;
        queue.recover();
        return queue.submit(one) == 1;
    }
    return true;
}

BlockStatus run(BlockDevice& disk, BlockRequest& request, TimeSource& time) {
    BlockQueue& queue = disk.queue(0);
    request.reset();
    if (!submit_one(disk, queue, request, time)) return BlockStatus::device_failed;
    return wait_for(disk, queue, request, time);
}

Result<SyncDisk> SyncDisk::create(BlockDevice& disk, DmaMemory& memory, TimeSource& time,
                                  std::size_t buffer_size) {
    const std::size_t block = disk.info().logical_block;
    const std::size_t limit = std::min<std::size_t>(buffer_size, disk.info().max_transfer);
    const std::size_t chunk = std::max(block, limit / block * block);
    auto buffer = DmaBuffer::allocate(memory, chunk);
    if (!buffer) return std::unexpected(buffer.error());
    return SyncDisk(disk, time, std::move(*buffer), chunk);
}

BlockStatus SyncDisk::transfer(BlockOperation operation, std::uint64_t sector, std::size_t size) {
    const DmaSpan segment = buffer_.span().subspan(0, size);
    BlockRequest request;
    request.operation = operation;
    request.sector = sector;
    request.segments = {&segment, 1};
    return run(*disk_, request, *time_);
}

Result<void> SyncDisk::read(std::uint64_t sector, std::span<std::byte> data) {
    while (!data.empty()) {
        const std::size_t size = std::min(data.size(), chunk_);
        const BlockStatus status = transfer(BlockOperation::read, sector, size);
        if (status != BlockStatus::ok) return to_result("cannot read from the disk", status);
        std::memcpy(data.data(), buffer_.data(), size);
        data = data.subspan(size);
        sector += size / sector_size;
    }
    return {};
}

Result<void> SyncDisk::write(std::uint64_t sector, std::span<const std::byte> data) {
    while (!data.empty()) {
        const std::size_t size = std::min(data.size(), chunk_);
        std::memcpy(buffer_.data(), data.data(), size);
        const BlockStatus status = transfer(BlockOperation::write, sector, size);
        if (status != BlockStatus::ok) return to_result("cannot write to the disk", status);
        data = data.subspan(size);
        sector += size / sector_size;
    }
    return {};
}

Result<void> SyncDisk::flush() {
    BlockRequest request;
    request.operation = BlockOperation::flush;
    return to_result("cannot flush the disk's cache", run(*disk_, request, *time_));
}

}  // namespace exo::guest
