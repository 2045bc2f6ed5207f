#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "guest/drivers/adaptive/io_mode.h"
#include "guest/drivers/block/block_request.h"
#include "guest/drivers/dma.h"
#include "guest/kernel/error.h"
#include "shared/block/protocol.h"
#include "shared/fusion/ring.h"

namespace exo::guest {

/// The guest's end of a fusion-blk queue pair: the two rings, and which request travels under which tag. It
/// knows nothing of registers; whoever owns it rings the doorbell when told to.
///
/// No more requests are out than the completion ring has slots, so an honest device never finds it full and
/// never has to be told of room.
class FusionBlkQueue {
  public:
    static constexpr std::uint32_t max_capacity = 128;
    static constexpr std::uint32_t max_segments = 64;

    /// A request that has ended; null when the device handed back what it never had.
    struct Ended {
        BlockRequest* request = nullptr;
        BlockStatus status = BlockStatus::device_failed;
        bool fault = false;  ///< no honest device would have sent this completion
    };

    /// `capacity` is a power of two from 2 to max_capacity.
    static Result<FusionBlkQueue> create(DmaMemory& memory, std::uint32_t capacity);

    /// Back to the state after `create`, for a device that was reset. Nothing is in flight.
    void format();

    std::uint32_t capacity() const { return capacity_; }
    std::uint64_t submission_ring() const { return submission_memory_.physical(); }
    std::uint64_t completion_ring() const { return completion_memory_.physical(); }

    bool full() const { return idle_count_ == 0; }
    /// Puts a request that fits the disk into the submission ring; the queue is not full. False when the
    /// device has completed requests whose slots it still holds, as no honest one does.
    bool push(BlockRequest& request);
    /// To be called after pushes: whether the device needs the doorbell.
    bool must_ring() { return submissions_->must_notify(); }

    /// Takes the next completion. Nothing when there is none.
    std::optional<Ended> pop();

    /// Asks for an interrupt once so many more completions are there. False when there is any already.
    bool enable_interrupt(std::uint32_t completions) {
        return completions_->prepare_sleep_at_most(completions);
    }
    void disable_interrupt() { completions_->finish_sleep(); }

    /// Tells the device how completions are waited for.
    void announce(const IoPlan& plan);
    /// What the device says that an interrupt costs it. No more than 20 us is believed: what takes longer is
    /// a thread that lost its CPU, and a device that is polled has no occasion to correct itself.
    std::uint32_t notification_cost_ns() const;

    /// Any request still in the device, which it is taken back from; null when there is none.
    BlockRequest* take_back();

    /// Gives the memory up for good: for a device that cannot be stopped.
    void leak();

  private:
    struct Slot {
        BlockRequest* request = nullptr;
        std::uint32_t generation = 0;  ///< so that a completion that comes twice is not taken for a new one
    };

    FusionBlkQueue(std::uint32_t capacity, DmaBuffer submission, DmaBuffer completion, DmaBuffer tables);

    static constexpr std::uint32_t index_bits = 8;
    static constexpr std::uint32_t index_mask = (1u << index_bits) - 1;
    static_assert(max_capacity <= 1u << index_bits);

    std::uint32_t take_tag(BlockRequest& request);
    BlockRequest* give_back_tag(std::uint32_t index);
    bool is_in_flight(std::uint32_t tag) const;
    void place_segments(const BlockRequest& request, std::uint32_t index, block::Request& message) const;

    std::uint32_t capacity_;
    DmaBuffer submission_memory_;
    DmaBuffer completion_memory_;
    DmaBuffer tables_;  ///< an indirect table of max_segments for each slot
    std::optional<fusion::Producer> submissions_;
    std::optional<fusion::Consumer> completions_;
    std::array<Slot, max_capacity> slots_{};
    std::array<std::uint8_t, max_capacity> idle_{};
    std::uint32_t idle_count_ = 0;
};

}  // namespace exo::guest
