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

Result<SyncDisk> SyncDisk::create(BlockDevice& disk, DmaMemory& memory, std::size_t buffer_size) {
    const std::size_t block = disk.info().logical_block;
    const std::size_t limit = std::min<std::size_t>(buffer_size, disk.info().max_transfer);
    const std::size_t chunk = std::max(block, limit / block * block);
    auto buffer = DmaBuffer::allocate(memory, chunk);
    if (!buffer) return std::unexpected(buffer.error());
    return SyncDisk(disk, std::move(*buffer), chunk);
}

BlockStatus SyncDisk::transfer(BlockOperation operation, std::uint64_t sector, std::size_t size) {
    const DmaSpan segment = buffer_.span().subspan(0, size);
    BlockRequest request;
    request.operation = operation;
    request.sector = sector;
    request.segments = {&segment, 1};
    return run(*disk_, request);
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
    return to_result("cannot flush the disk's cache", run(*disk_, request));
}

}  // namespace exo::guest
