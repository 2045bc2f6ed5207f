#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "guest/drivers/block/block_device.h"
#include "guest/drivers/driver_services.h"
#include "guest/drivers/interrupt_watch.h"
#include "guest/drivers/pci/msix.h"
#include "guest/drivers/virtio/virtio_pci.h"
#include "guest/drivers/virtio/virtqueue.h"
#include "guest/kernel/error.h"

namespace exo::guest {

/// A virtio block device over modern PCI (Virtual I/O Device 1.2, 5.2): reads, writes, flush, one queue,
/// interrupt by MSI-X where the device and the machine have it.
///
/// The device is believed only as far as a mistake or a lie cannot hurt: one that breaks the protocol is
/// switched off and its requests end with `device_failed`.
class VirtioBlk final : public BlockDevice, private BlockQueue {
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
    unsigned queue_count() const override { return 1; }
    BlockQueue& queue(unsigned) override { return *this; }

  private:
    static constexpr std::size_t max_data_segments = 32;

    VirtioBlk(VirtioPci transport, const DriverServices& services)
        : transport_(std::move(transport)), services_(services), watch_(nullptr, services.time) {}

    Result<void> set_up();
    Result<void> read_configuration();
    Result<void> create_queue();
    void set_up_interrupt();
    Result<void> restart();
    void read_serial();

    std::size_t depth() const override;
    std::size_t submit(std::span<BlockRequest* const> requests) override;
    std::size_t poll() override;
    bool prepare_sleep(std::uint32_t ends) override;
    void finish_sleep() override;
    InterruptWatch& watch() override { return watch_; }
    bool has_interrupt() const override { return !dead_ && watch_.usable(); }
    void recover() override;
    const BlockQueueCounters& counters() const override { return counters_; }

    /// Prepares the chain of one request; `type` as in 5.2.6. False when the queue has no room.
    bool push(std::uint32_t type, BlockRequest& request);
    void publish();
    BlockStatus result_of(const Virtqueue::Used& used, const BlockRequest& request);
    void end(BlockRequest& request, BlockStatus status);
    void end_all(BlockStatus status);
    /// For good: the device has broken its protocol, or cannot be brought back.
    void switch_off(BlockStatus status);

    VirtioPci transport_;
    DriverServices services_;
    DiskInfo info_;
    std::optional<MsixTable> msix_;
    std::uint16_t vector_ = VirtioPci::no_vector;
    InterruptWatch watch_;
    std::optional<Virtqueue> virtqueue_;
    DmaBuffer control_;  ///< a header and a status byte for every descriptor that may start a chain
    std::array<BlockRequest*, Virtqueue::max_size> in_device_{};
    BlockQueueCounters counters_;
    std::uint64_t features_ = 0;
    bool dead_ = false;
    std::array<char, 20> serial_{};
};

}  // namespace exo::guest
