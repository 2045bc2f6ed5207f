#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "guest/drivers/block/block_device.h"
#include "guest/drivers/block/virtio_blk_channel.h"
#include "guest/drivers/driver_services.h"
#include "guest/drivers/pci/msix.h"
#include "guest/drivers/virtio/virtio_pci.h"
#include "guest/drivers/virtio/virtqueue.h"
#include "guest/kernel/error.h"

namespace exo::guest {

/// A virtio block device over modern PCI (Virtual I/O Device 1.2, 5.2): reads, writes, flush; a queue for
/// each processor as far as the device and the machine have them, interrupts by MSI-X or polled.
///
/// The device is believed only as far as a mistake or a lie cannot hurt: one that breaks the protocol is
/// switched off and its requests end with `device_failed`.
///
/// Lock order: the queues' by their numbers, then `stop_lock_`.
class VirtioBlk final : public BlockDevice {
  public:
    static constexpr std::uint16_t pci_device = 0x1042;
    /// A device that shows an older interface beside the modern one.
    static constexpr std::uint16_t transitional_pci_device = 0x1001;

    /// Is this PCI function a virtio disk?
    static bool matches(const PciFunction& function);
    static Result<std::unique_ptr<VirtioBlk>> create(const PciFunction& function,
                                                     const DriverServices& services);
    ~VirtioBlk() override;
    VirtioBlk(const VirtioBlk&) = delete;
    VirtioBlk& operator=(const VirtioBlk&) = delete;

    const DiskInfo& info() const override { return info_; }
    unsigned queue_count() const override { return channel_count_; }
    BlockQueue& queue(unsigned index) override { return *channels_[index]; }

  private:
    friend class VirtioBlkChannel;

    VirtioBlk(VirtioPci transport, const DriverServices& services)
        : transport_(std::move(transport)), services_(services) {}

    Result<void> set_up();
    Result<void> read_configuration();
    Result<void> create_channels();
    Result<void> create_channel(std::uint16_t index);
    Result<void> start_channels();
    Result<void> restart();
    void read_serial();

    // For the channels. Without any lock:
    void recover();
    // With the lock of one channel or all:
    bool dead() const { return dead_.load(std::memory_order_acquire); }
    /// For good: the device has broken its protocol, or cannot be brought back. Each channel ends its own
    /// requests afterwards.
    void switch_off();
    void notify(std::uint64_t doorbell, std::uint16_t queue) { transport_.notify(doorbell, queue); }
    TimeSource& time() { return services_.time; }

    VirtioPci transport_;
    DriverServices services_;
    DiskInfo info_;
    std::optional<MsixTable> msix_;
    std::array<std::unique_ptr<VirtioBlkChannel>, most_queues> channels_;
    unsigned channel_count_ = 0;
    std::uint64_t features_ = 0;
    Mutex stop_lock_;
    std::atomic<bool> dead_ = false;
    std::array<char, VirtioBlkChannel::id_size> serial_{};
};

}  // namespace exo::guest
