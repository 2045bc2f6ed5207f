#include "guest/drivers/block/sequential_reader.h"

#include <algorithm>
#include <new>

namespace exo::guest {

Result<std::unique_ptr<SequentialReader>> SequentialReader::create(BlockDevice& disk, DmaMemory& memory,
                                                                   std::size_t piece) {
    std::unique_ptr<SequentialReader> reader(new (std::nothrow) SequentialReader(disk));
    if (reader == nullptr) return out_of_memory("cannot read from the disk");
    const DiskInfo& info = disk.info();
    piece = std::clamp<std::size_t>(piece, info.logical_block, info.max_transfer);
    reader->piece_ = piece / info.logical_block * info.logical_block;
    const std::size_t depth = std::clamp<std::size_t>(reader->queue_.depth(), 1, max_depth);
    for (; reader->depth_ < depth; ++reader->depth_) {
        auto buffer = DmaBuffer::allocate(memory, reader->piece_);
        // Little memory is no reason to fail: one buffer will do.
        if (!buffer && reader->depth_ > 0) break;
        if (!buffer) return std::unexpected(buffer.error());
        reader->slots_[reader->depth_].memory = std::move(*buffer);
    }
    return reader;
}

SequentialReader::~SequentialReader() {
    for (; finished_ < submitted_; ++finished_) queue_.wait(slot(finished_).request);
}

Result<std::span<const std::byte>> SequentialReader::next() {
    finished_ = handed_out_;
    submit_more();
    if (position_ == disk_.info().sectors) return std::span<const std::byte>{};
    const BlockStatus status = queue_.wait(slot(handed_out_).request);
    if (status != BlockStatus::ok) return fail("cannot read from the disk", describe(status));
    const DmaSpan& segment = slot(handed_out_++).segment;
    position_ += segment.size / sector_size;
    return segment.bytes();
}

void SequentialReader::submit_more() {
    std::array<BlockRequest*, max_depth> requests;
    std::size_t count = 0;
    std::uint64_t sector = next_sector_;
    for (std::uint64_t number = submitted_; number < finished_ + depth_; ++number) {
        const std::uint64_t left = disk_.info().sectors - sector;
        if (left == 0) break;
        Slot& free = slot(number);
        const auto sectors = static_cast<std::size_t>(std::min<std::uint64_t>(left, piece_ / sector_size));
        free.segment = free.memory.span().subspan(0, sectors * sector_size);
        free.request.sector = sector;
        free.request.segments = {&free.segment, 1};
        free.request.reset();
        requests[count++] = &free.request;
        sector += sectors;
    }
    submitted_ += count;
    next_sector_ = sector;
    queue_.submit(std::span(requests).first(count));
}

}  // namespace exo::guest
