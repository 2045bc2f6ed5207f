#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "guest/drivers/block/block_device.h"
#include "guest/drivers/block/fusion_blk_queue.h"
#include "guest/drivers/driver_services.h"
#include "guest/drivers/interrupt_watch.h"
#include "guest/drivers/pci/msix.h"
#include "guest/drivers/pci/pci_function.h"
#include "guest/kernel/error.h"
#include "shared/block/protocol.h"

namespace exo::guest {

/// The disk of our own VMM (shared/block/README.md): reads, writes, flush, one queue, interrupt by MSI-X or
/// polled.
///
/// The device is believed only as far as a mistake or a lie cannot hurt: one that breaks the protocol is
/// switched off and its requests end with `device_failed`.
class FusionBlk final : public BlockDevice, private BlockQueue {
  public:
    static bool matches(const PciFunction& function);
    static Result<std::unique_ptr<FusionBlk>> create(const PciFunction& function,
                                                     const DriverServices& services);
    ~FusionBlk() override;
    FusionBlk(const FusionBlk&) = delete;
    FusionBlk& operator=(const FusionBlk&) = delete;

    const DiskInfo& info() const override { return info_; }
    unsigned queue_count() const override { return 1; }
    BlockQueue& queue(unsigned) override { return *this; }

  private:
    FusionBlk(const PciFunction& function, const DriverServices& services)
        : function_(function), services_(services), watch_(nullptr, services.time) {}

    Result<void> set_up();
    Result<void> check_identity();
    Result<void> read_configuration();
    void read_serial();
    Result<void> create_queue();
    void set_up_interrupt();
    Result<void> start();
    /// Waits until the device touches no memory any more.
    Result<void> reset();
    Result<void> restart();

    std::size_t depth() const override { return queue_->capacity(); }
    std::size_t submit(std::span<BlockRequest* const> requests) override;
    std::size_t poll() override;
    bool prepare_sleep(std::uint32_t ends) override;
    void finish_sleep() override;
    InterruptWatch& watch() override { return watch_; }
    bool has_interrupt() const override { return !dead_ && watch_.usable(); }
    void announce(const IoPlan& plan) override;
    void recover() override;
    const BlockQueueCounters& counters() const override { return counters_; }

    void ring_doorbell();
    void end(BlockRequest& request, BlockStatus status);
    void end_all(BlockStatus status);
    /// For good: the device has broken its protocol, or cannot be brought back.
    void switch_off(BlockStatus status);

    PciFunction function_;
    DriverServices services_;
    std::unique_ptr<Registers> registers_;  ///< the registers' page and that of the doorbells
    DiskInfo info_;
    std::uint64_t features_ = 0;
    std::optional<MsixTable> msix_;
    std::uint32_t vector_ = block::no_vector;
    InterruptWatch watch_;
    std::optional<FusionBlkQueue> queue_;
    BlockQueueCounters counters_;
    bool dead_ = false;
    std::array<char, block::serial_size> serial_{};
};

}  // namespace exo::guest
