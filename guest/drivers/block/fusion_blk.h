#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "guest/drivers/block/block_device.h"
#include "guest/drivers/block/fusion_blk_channel.h"
#include "guest/drivers/driver_services.h"
#include "guest/drivers/pci/msix.h"
#include "guest/drivers/pci/pci_function.h"
#include "guest/kernel/error.h"
#include "shared/block/protocol.h"

namespace exo::guest {

/// The disk of our own VMM (shared/block/README.md): reads, writes, flush; a queue for each processor as far
/// as the device and the machine have them, interrupts by MSI-X or polled.
///
/// The device is believed only as far as a mistake or a lie cannot hurt: one that breaks the protocol is
/// switched off and its requests end with `device_failed`.
///
/// Lock order: the queues' by their numbers, then `stop_lock_`.
class FusionBlk final : public BlockDevice {
  public:
    static bool matches(const PciFunction& function);
    static Result<std::unique_ptr<FusionBlk>> create(const PciFunction& function,
                                                     const DriverServices& services);
    ~FusionBlk() override;
    FusionBlk(const FusionBlk&) = delete;
    FusionBlk& operator=(const FusionBlk&) = delete;

    const DiskInfo& info() const override { return info_; }
    unsigned queue_count() const override { return channel_count_; }
    BlockQueue& queue(unsigned index) override { return *channels_[index]; }

  private:
    friend class FusionBlkChannel;

    FusionBlk(const PciFunction& function, const DriverServices& services)
        : function_(function), services_(services) {}

    Result<void> set_up();
    Result<void> check_identity();
    Result<void> read_configuration();
    void read_serial();
    Result<void> create_channels();
    Result<void> create_channel(unsigned index, std::uint32_t capacity);
    Result<void> start();
    Result<void> start_channel(const FusionBlkChannel& channel);
    /// Waits until the device touches no memory any more.
    Result<void> reset();

    // For the channels. Without any lock:
    void recover();
    // With the lock of one channel or all:
    bool dead() const { return dead_.load(std::memory_order_acquire); }
    /// For good: the device has broken its protocol, or cannot be brought back. Each channel ends its own
    /// requests afterwards.
    void switch_off();
    void ring_doorbell(unsigned queue) { registers_->write32(block::bar::doorbell(queue), 0); }

    PciFunction function_;
    DriverServices services_;
    std::unique_ptr<Registers> registers_;  ///< the registers' page and that of the doorbells
    DiskInfo info_;
    std::uint64_t features_ = 0;
    std::optional<MsixTable> msix_;
    std::array<std::unique_ptr<FusionBlkChannel>, most_queues> channels_;
    unsigned channel_count_ = 0;
    Mutex stop_lock_;
    std::atomic<bool> dead_ = true;  ///< until it has shown that it is a device of this kind
    bool stuck_ = false;             ///< it did not even reset: the rings are left to it
    std::array<char, block::serial_size> serial_{};
};

}  // namespace exo::guest
