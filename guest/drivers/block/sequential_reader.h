#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "guest/drivers/block/adaptive_queue.h"
#include "guest/drivers/dma.h"
#include "guest/kernel/error.h"

namespace exo::guest {

/// Reads a whole disk from its first sector to its last, in large pieces, with several requests in the
/// device while the caller works on the piece before.
class SequentialReader {
  public:
    static constexpr std::size_t max_depth = 4;
    static constexpr std::size_t default_piece = 256 * 1024;

    /// `piece` is the largest number of bytes in one request, clamped to what the disk takes.
    static Result<std::unique_ptr<SequentialReader>> create(BlockDevice& disk, DmaMemory& memory,
                                                            std::size_t piece = default_piece);
    /// Waits for the requests that are still in the device.
    ~SequentialReader();
    SequentialReader(const SequentialReader&) = delete;
    SequentialReader& operator=(const SequentialReader&) = delete;

    /// The next piece, valid until the next call; empty at the end of the disk. After an error `position()`
    /// is the first sector of the request that failed.
    Result<std::span<const std::byte>> next();

    /// The sector that the next piece starts at.
    std::uint64_t position() const { return position_; }

  private:
    /// A buffer and the request that fills it.
    struct Slot {
        DmaBuffer memory;
        DmaSpan segment;
        BlockRequest request;
    };

    explicit SequentialReader(BlockDevice& disk) : disk_(disk), queue_(disk.queue_here()) {}
    void submit_more();
    Slot& slot(std::uint64_t number) { return slots_[number % depth_]; }

    BlockDevice& disk_;
    AdaptiveQueue& queue_;
    std::array<Slot, max_depth> slots_;
    std::size_t depth_ = 0;
    std::size_t piece_ = 0;
    std::uint64_t position_ = 0;     ///< sector that is handed out next
    std::uint64_t next_sector_ = 0;  ///< sector that is submitted next
    std::uint64_t handed_out_ = 0;   ///< pieces, the one the caller holds included
    std::uint64_t finished_ = 0;     ///< pieces that the caller has done with: their slots are free
    std::uint64_t submitted_ = 0;    ///< pieces
};

}  // namespace exo::guest
