#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/drivers/block/block_device.h"
#include "guest/drivers/dma.h"
#include "guest/drivers/time_source.h"
#include "guest/kernel/error.h"

namespace exo::guest {

/// Submits one request and waits for its end as the disk's policy says, no longer than the disk's time-out:
/// then the queue is recovered and the status is `timed_out`.
BlockStatus run(BlockDevice& disk, BlockRequest& request, TimeSource& time);

/// Waits until a submitted request has ended, likewise. Others of the same queue may end meanwhile.
BlockStatus wait_for(BlockDevice& disk, BlockQueue& queue, BlockRequest& request, TimeSource& time);

/// Submits one request, waiting for room while the queue is full of others. False when even a recovered queue
/// does not take it.
bool submit_one(BlockDevice& disk, BlockQueue& queue, BlockRequest& request, TimeSource& time);

/// Synchronous reads and writes with ordinary memory, copied through a buffer that the device can reach.
/// Data may be of any length that is a multiple of the disk's logical block.
class SyncDisk {
  public:
    /// Takes a bounce buffer of `buffer_size` bytes, clamped to what one request of the disk may move.
    static Result<SyncDisk> create(BlockDevice& disk, DmaMemory& memory, TimeSource& time,
                                   std::size_t buffer_size = 64 * 1024);

    Result<void> read(std::uint64_t sector, std::span<std::byte> data);
    Result<void> write(std::uint64_t sector, std::span<const std::byte> data);
    Result<void> flush();
    BlockDevice& disk() const { return *disk_; }

  private:
    SyncDisk(BlockDevice& disk, TimeSource& time, DmaBuffer buffer, std::size_t chunk)
        : disk_(&disk), time_(&time), buffer_(std::move(buffer)), chunk_(chunk) {}
    BlockStatus transfer(BlockOperation operation, std::uint64_t sector, std::size_t size);

    BlockDevice* disk_;
    TimeSource* time_;
    DmaBuffer buffer_;
    std::size_t chunk_;  ///< bytes of the buffer that one request uses
};

}  // namespace exo::guest
