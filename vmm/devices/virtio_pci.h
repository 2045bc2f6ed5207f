#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/base/guest_memory.h"
#include "vmm/devices/doorbells.h"
#include "vmm/devices/queue_device.h"
#include "vmm/devices/virtio_device.h"
#include "vmm/devices/virtqueue.h"

namespace exo::vmm {

/// A virtio device over modern PCI (4.1), without its PCI face: the structures of its BAR, feature
/// negotiation, queues, interrupts. Memory BAR 0 holds one structure a page.
///
/// A queue that breaks the standard stops the device: DEVICE_NEEDS_RESET, a configuration interrupt, and
/// nothing more until the driver resets it.
class VirtioPci final : public QueueDevice {
  public:
    /// Where things lie in the BAR.
    static constexpr std::uint64_t common_offset = 0x0000;
    static constexpr std::uint64_t isr_offset = 0x1000;
    static constexpr std::uint64_t device_offset = 0x2000;
    static constexpr std::uint64_t notify_offset = 0x3000;
    static constexpr std::uint32_t msix_table_offset = 0x4000;
    static constexpr std::uint32_t msix_pending_offset = 0x5000;
    static constexpr std::uint64_t bar_size = 0x8000;
    /// The doorbell of queue q is the 16-bit register at notify_offset + q * notify_multiplier.
    static constexpr std::uint32_t notify_multiplier = 4;

    struct Counters {
        std::uint64_t doorbells = 0;
        std::uint64_t interrupts = 0;
        std::uint64_t resets = 0;
        std::uint64_t faults = 0;
    };

    /// What the driver has set and where the queues are, all of it plain: the whole state of the transport.
    struct QueueState {
        Virtqueue::Setup setup;
        Virtqueue::Position position = {};
        std::uint16_t vector = virtio::no_vector;
        bool enabled = false;
    };
    struct State {
        std::uint8_t status = 0;
        bool resetting = false;  ///< the driver has asked, and requests are still under way
        std::uint8_t isr = 0;
        std::uint32_t device_feature_select = 0;
        std::uint32_t driver_feature_select = 0;
        std::uint64_t driver_features = 0;
        std::uint16_t config_vector = virtio::no_vector;
        std::uint16_t queue_select = 0;
        std::vector<QueueState> queues;
    };

    /// `memory` and `device` outlive the transport.
    static Result<std::unique_ptr<VirtioPci>> create(const GuestMemory& memory, VirtioDevice& device);

    /// Vector 0 to queue_count(): one a queue, and one for the configuration.
    void connect_interrupt(std::uint32_t vector, InterruptLine& line) override;
    std::uint32_t vector_count() const { return queue_count() + 1; }
    std::uint16_t type() const { return device_.type(); }

    void read(std::uint64_t offset, std::span<std::byte> data) override;
    void write(std::uint64_t offset, std::span<const std::byte> data) override;

    std::uint32_t queue_count() const override { return doorbells_.count(); }
    int doorbell_fd(std::uint32_t queue) const override { return doorbells_.fd(queue); }
    int completion_fd() const override { return device_.completion_fd(); }
    using QueueDevice::service;
    bool service(Pass pass) override;
    Deadline deadline() const override { return device_.deadline(); }
    void reset() override;
    bool quiescent() const override;

    Counters counters();
    /// What the driver did wrong last, for a person; empty when nothing.
    std::string fault() const;
    State state() const;
    void exchange_state(StateArchive& archive) override;
    /// Calls `look` while nothing else is done with the device.
    template <typename Look>
    auto while_still(Look&& look) const {
        const std::lock_guard lock(mutex_);
        return look();
    }

  private:
    VirtioPci(const GuestMemory& memory, VirtioDevice& device, Doorbells doorbells);

    // All under the lock.
    std::uint64_t offered_features() const;
    virtio::CommonConfig common_config() const;
    void read_isr(std::span<std::byte> data);
    void write_common(std::uint64_t offset, std::span<const std::byte> data);
    void write_queue(std::uint64_t offset, std::span<const std::byte> data);
    void write_status(std::uint8_t value);
    std::uint16_t checked_vector(std::uint64_t value) const;
    void start();
    void attach(std::size_t index);
    void fail(std::size_t queue, QueueFault fault);
    void begin_reset();
    void end_reset();
    bool work(Pass pass);
    void announce();
    void interrupt(std::uint16_t vector, std::uint8_t isr_bit);

    const GuestMemory& memory_;
    VirtioDevice& device_;
    std::vector<InterruptLine*> lines_;

    mutable std::mutex mutex_;
    Doorbells doorbells_;
    State state_;
    std::vector<std::optional<Virtqueue>> queues_;
    static void exchange(StateArchive& archive, State& state);

    bool config_interrupt_ = false;  ///< is due
    std::string fault_;
    Counters counters_;

    std::vector<std::uint16_t> due_;  ///< vectors to raise when the lock is free; of the I/O thread alone
};

/// One of the PCI capabilities (4.1.4) that lead to the structures of the BAR: the bytes after id and link.
using VirtioCapability = std::vector<std::uint8_t>;
/// The last one is the window into the BAR (4.1.4.9), whose offset and length the guest writes.
std::vector<VirtioCapability> virtio_capabilities(const VirtioDevice& device);

}  // namespace exo::vmm
