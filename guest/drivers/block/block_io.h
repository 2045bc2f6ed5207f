#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/drivers/block/adaptive_queue.h"
#include "guest/drivers/dma.h"
#include "guest/kernel/error.h"

namespace exo::guest {

/// Submits one request to the queue of this processor and waits for its end, as that queue's controller says
/// and no longer than the disk's time-out: then the device is reset and the status is `timed_out`.
inline BlockStatus run(BlockDevice& disk, BlockRequest& request) {
    return disk.queue_here().run(request);
}

/// Synchronous reads and writes with ordinary memory, copied through a buffer that the device can reach.
/// Data may be of any length that is a multiple of the disk's logical block.
class SyncDisk {
  public:
    /// Takes a bounce buffer of `buffer_size` bytes, clamped to what one request of the disk may move.
    static Result<SyncDisk> create(BlockDevice& disk, DmaMemory& memory, std::size_t buffer_size = 64 * 1024);

    Result<void> read(std::uint64_t sector, std::span<std::byte> data);
    Result<void> write(std::uint64_t sector, std::span<const std::byte> data);
    Result<void> flush();
    BlockDevice& disk() const { return *disk_; }

  private:
    SyncDisk(BlockDevice& disk, DmaBuffer buffer, std::size_t chunk)
        : disk_(&disk), buffer_(std::move(buffer)), chunk_(chunk) {}
    BlockStatus transfer(BlockOperation operation, std::uint64_t sector, std::size_t size);

    BlockDevice* disk_;
    DmaBuffer buffer_;
    std::size_t chunk_;  ///< bytes of the buffer that one request uses
};

}  // namespace exo::guest
