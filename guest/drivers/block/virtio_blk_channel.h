#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/drivers/block/block_device.h"
#include "guest/drivers/virtio/virtqueue.h"

namespace exo::guest {

class VirtioBlk;

/// One virtqueue of a virtio disk, and which request travels in which chain. Everything in it is guarded by
/// its lock.
class VirtioBlkChannel final : public BlockQueue {
  public:
    static constexpr std::uint16_t max_size = 128;
    static constexpr std::size_t max_data_segments = 32;
    static constexpr std::uint16_t max_elements = max_data_segments + 2;
    static constexpr std::size_t id_size = 20;

    static Result<std::unique_ptr<VirtioBlkChannel>> create(VirtioBlk& device, std::uint16_t index,
                                                            std::uint16_t size, bool event_index,
                                                            bool indirect, DmaMemory& memory);
    void use_interrupt(std::uint16_t vector, const InterruptWatch& watch) {
        vector_ = vector;
        watch_ = watch;
    }

    std::size_t depth() const override;
    std::size_t submit(std::span<BlockRequest* const> requests) override;
    std::size_t poll() override;
    bool prepare_sleep(std::uint32_t ends) override;
    void finish_sleep() override { virtqueue_.disable_interrupts(); }
    InterruptWatch& watch() override { return watch_; }
    bool has_interrupt() const override;
    void recover() override;
    const BlockQueueCounters& counters() const override { return counters_; }

    std::uint16_t index() const { return index_; }
    std::uint16_t vector() const { return vector_; }
    Virtqueue& virtqueue() { return virtqueue_; }
    void set_doorbell(std::uint64_t doorbell) { doorbell_ = doorbell; }
    void end_all(BlockStatus status);
    /// Asks the device for the name of the disk; empty when it does not tell in time.
    std::span<const char> read_id(std::uint64_t deadline_ns, TimeSource& time);

  private:
    VirtioBlkChannel(VirtioBlk& device, std::uint16_t index, Virtqueue virtqueue, DmaBuffer control,
                     TimeSource& time);

    /// Prepares the chain of one request; `type` as in 5.2.6. False when the queue has no room.
    bool push(std::uint32_t type, BlockRequest& request);
    void publish();
    BlockStatus result_of(const Virtqueue::Used& used, const BlockRequest& request);

    VirtioBlk& device_;
    const std::uint16_t index_;
    std::uint16_t vector_;
    std::uint64_t doorbell_ = 0;
    Virtqueue virtqueue_;
    DmaBuffer control_;  ///< a header and a status byte for every descriptor that may start a chain
    InterruptWatch watch_;
    std::array<BlockRequest*, max_size> in_device_{};
    BlockQueueCounters counters_;
};

}  // namespace exo::guest
