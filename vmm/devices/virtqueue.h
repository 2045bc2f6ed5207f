#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <vector>

#include "vmm/base/guest_memory.h"
#include "vmm/devices/virtio_abi.h"

namespace exo::vmm {

/// What the driver made available at once: buffers that the device reads, and buffers that it writes, in the
/// driver's order, all of them in guest RAM.
struct DescriptorChain {
    std::uint16_t head = 0;
    std::vector<iovec> readable;
    std::vector<iovec> writable;
};

/// Why a queue cannot go on. All of these break the standard, and only a reset of the device helps.
enum class QueueFault : std::uint8_t {
    none,
    bad_size,
    bad_area,
    index_jump,
    bad_head,
    bad_next,
    endless_chain,
    empty_buffer,
    bad_address,
    read_after_write,
    bad_indirect,
    malformed_request,  ///< a chain that the device cannot make a request of
};
const char* describe(QueueFault fault);

/// A queue as the driver told it.
struct VirtqueueSetup {
    std::uint16_t size = 0;
    GuestAddress descriptors = {};
    GuestAddress driver_area = {};
    GuestAddress device_area = {};
    bool operator==(const VirtqueueSetup&) const = default;
};

/// Where a queue is; with its setup all that a later queue needs to go on.
struct VirtqueuePosition {
    std::uint16_t next_available = 0;
    std::uint16_t next_used = 0;
    std::uint16_t announced = 0;  ///< of the used entries, those that an interrupt was considered for
    bool operator==(const VirtqueuePosition&) const = default;
};

/// A split virtqueue as the device sees it (2.7). The guest may write anything into it at any time: each word
/// is read once, checked, and never used for more than naming the guest's own memory.
class Virtqueue {
  public:
    static constexpr std::uint16_t max_size = 256;
    /// Descriptors of one chain, with those of its indirect table.
    static constexpr std::size_t max_chain = 1024;

    using Setup = VirtqueueSetup;
    using Position = VirtqueuePosition;

    /// `features` are those that the driver accepted.
    static std::expected<Virtqueue, QueueFault> attach(const GuestMemory& memory, const Setup& setup,
                                                       std::uint64_t features, Position position = {});

    std::uint16_t size() const { return size_; }
    const Position& position() const { return position_; }

    /// Takes the next chain. False when there is none, or when the queue has a fault.
    bool pop(DescriptorChain& chain);
    /// Gives a chain back, with the bytes written into it from its start on.
    void push(std::uint16_t head, std::uint32_t written);

    /// Whether the driver wants to hear of what was pushed since the last call.
    bool interrupt_due();

    /// While the device works, doorbells tell it nothing.
    void refuse_doorbells();
    /// Asks for a doorbell with the next chain. False when there is one already, which may come without.
    bool ask_for_doorbell();

    QueueFault fault() const { return fault_; }
    void fail(QueueFault fault) { fault_ = fault; }

  private:
    Virtqueue(const GuestMemory& memory, std::span<std::byte> descriptors, std::span<std::byte> driver_area,
              std::span<std::byte> device_area, std::uint16_t size, std::uint64_t features,
              Position position);

    std::uint16_t& word(std::span<std::byte> area, std::size_t offset) const;
    std::uint16_t available_index() const;
    QueueFault walk(std::span<const std::byte> table, std::uint16_t first, bool indirect,
                    DescriptorChain& chain) const;
    QueueFault walk_indirect(const virtio::Descriptor& descriptor, DescriptorChain& chain) const;
    QueueFault add_buffer(const virtio::Descriptor& descriptor, DescriptorChain& chain) const;

    const GuestMemory* memory_;
    std::span<std::byte> descriptors_;
    std::span<std::byte> driver_area_;
    std::span<std::byte> device_area_;
    std::uint16_t size_;
    bool event_index_;
    bool indirect_;
    bool asked_ = true;  ///< for doorbells, as every queue does at first
    Position position_;
    QueueFault fault_ = QueueFault::none;
};

}  // namespace exo::vmm
