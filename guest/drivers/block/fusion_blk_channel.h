#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/drivers/block/block_device.h"
#include "guest/drivers/block/fusion_blk_queue.h"

namespace exo::guest {

class FusionBlk;

/// One queue of a fusion-blk disk: rings, doorbell and interrupt. Everything in it is guarded by its lock.
class FusionBlkChannel final : public BlockQueue {
  public:
    FusionBlkChannel(FusionBlk& device, unsigned index, FusionBlkQueue rings, std::uint32_t vector,
                     const InterruptWatch& watch)
        : device_(device), index_(index), rings_(std::move(rings)), vector_(vector), watch_(watch) {}

    std::size_t depth() const override { return rings_.capacity(); }
    std::size_t submit(std::span<BlockRequest* const> requests) override;
    std::size_t poll() override;
    bool prepare_sleep(std::uint32_t ends) override;
    void finish_sleep() override { rings_.disable_interrupt(); }
    InterruptWatch& watch() override { return watch_; }
    bool has_interrupt() const override;
    void announce(const IoPlan& plan) override;
    std::uint32_t notification_cost_ns() const override { return rings_.notification_cost_ns(); }
    void recover() override;
    const BlockQueueCounters& counters() const override { return counters_; }

    unsigned index() const { return index_; }
    std::uint32_t vector() const { return vector_; }
    const FusionBlkQueue& rings() const { return rings_; }
    /// The device was reset, and is about to be given these rings again.
    void format();
    void end_all(BlockStatus status);
    /// Gives the rings up for good.
    void leak() { rings_.leak(); }

  private:
    void fault();

    FusionBlk& device_;
    const unsigned index_;
    FusionBlkQueue rings_;
    const std::uint32_t vector_;
    InterruptWatch watch_;
    IoPlan announced_;
    BlockQueueCounters counters_;
};

}  // namespace exo::guest
