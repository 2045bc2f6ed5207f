#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "vmm/devices/queue_device.h"
#include "vmm/devices/virtqueue.h"

namespace exo::vmm {

/// What makes a virtio device the kind that it is; VirtioPci is what they have in common. VirtioPci calls it,
/// one thread at a time.
class VirtioDevice {
  public:
    virtual ~VirtioDevice() = default;

    virtual std::uint16_t type() const = 0;      ///< as 5 numbers them
    virtual std::uint64_t features() const = 0;  ///< beyond those of the transport and the queues
    virtual std::span<const std::byte> configuration() const = 0;
    virtual std::uint32_t queue_count() const = 0;
    virtual int completion_fd() const { return -1; }

    /// The driver is ready, with these features.
    virtual void start(std::uint64_t features) = 0;
    /// One bounded pass over the queues that there are; those that are not set up, or have been taken away by
    /// a reset, are empty. Returns as QueueDevice::service() does.
    virtual bool work(std::span<std::optional<Virtqueue>> queues, Pass pass) = 0;
    /// When the next pass is due whatever happens.
    virtual Deadline deadline() const { return {}; }
    /// During a reset, before each pass: what has not been started need not be.
    virtual void abandon() {}
    /// After a reset, once the device is quiescent.
    virtual void stop() = 0;
    /// No request is under way that touches guest memory.
    virtual bool quiescent() const = 0;
};

}  // namespace exo::vmm
