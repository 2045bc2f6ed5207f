#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "guest/drivers/driver_services.h"
#include "guest/drivers/pci/pci_function.h"
#include "guest/drivers/virtio/virtqueue.h"
#include "guest/kernel/error.h"

namespace exo::guest {

namespace virtio_feature {
inline constexpr std::uint64_t indirect = std::uint64_t{1} << 28;
inline constexpr std::uint64_t event_index = std::uint64_t{1} << 29;
inline constexpr std::uint64_t version_1 = std::uint64_t{1} << 32;
}  // namespace virtio_feature

/// A virtio device over modern PCI (Virtual I/O Device 1.2, 4.1): feature negotiation, status and queues. The
/// calls come in the order in which they stand here.
class VirtioPci {
  public:
    static constexpr std::uint16_t vendor = 0x1af4;
    static constexpr std::uint16_t no_vector = 0xffff;

    /// Finds and maps the structures that the capabilities name.
    static Result<VirtioPci> create(PciFunction function, RegisterSpace& space);

    /// Puts the device to its initial state; an error when it does not get there in time. Afterwards it
    /// touches no memory of the driver.
    Result<void> reset(TimeSource& time);
    /// Accepts those of `wanted` that are offered; VERSION_1 is always wanted, and must be. The accepted
    /// ones.
    Result<std::uint64_t> negotiate(std::uint64_t wanted);

    unsigned queue_count();
    /// The largest size of the queue that the device takes, 0 when there is no such queue.
    std::uint16_t max_queue_size(std::uint16_t index);
    /// Enables a queue. `vector` is its MSI-X vector or `no_vector`. The place of its doorbell.
    Result<std::uint64_t> start_queue(std::uint16_t index, const Virtqueue& queue, std::uint16_t vector);
    /// The device is live from here on.
    void start();
    void notify(std::uint64_t doorbell, std::uint16_t index) { notify_->write16(doorbell, index); }

    /// Switches the device off for good: it can no longer reach memory, even when it ignores the reset.
    void cut_off();

    /// True once the device has said that only a reset helps.
    bool needs_reset();

    /// The device's own configuration: at least as many bytes as asked for at `create`.
    Registers& configuration() { return *configuration_; }
    std::uint8_t configuration_generation();

    PciFunction& function() { return function_; }

  private:
    explicit VirtioPci(PciFunction function) : function_(function) {}
    Result<std::unique_ptr<Registers>> map(RegisterSpace& space, std::uint8_t kind, std::uint32_t least,
                                           std::uint32_t most, std::uint8_t* where);
    void add_status(std::uint8_t bits);

    PciFunction function_;
    std::unique_ptr<Registers> common_;
    std::unique_ptr<Registers> notify_;
    std::unique_ptr<Registers> configuration_;
    std::uint32_t notify_multiplier_ = 0;
};

}  // namespace exo::guest
