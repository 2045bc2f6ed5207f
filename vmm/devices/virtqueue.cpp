#include "vmm/devices/virtqueue.h"

#include <atomic>
#include <bit>
#include <cstring>

namespace exo::vmm {
namespace {

using virtio::Descriptor;
using virtio::UsedElement;

// The driver area: flags, index, ring, used_event. The device area: flags, index, ring, avail_event.
constexpr std::size_t flags_offset = 0;
constexpr std::size_t index_offset = 2;
constexpr std::size_t ring_offset = 4;

constexpr std::size_t available_entry(std::size_t index) {
    return ring_offset + 2 * index;
}
constexpr std::size_t used_entry(std::size_t index) {
    return ring_offset + sizeof(UsedElement) * index;
}

/// An area of a queue, when it lies in RAM and is aligned (2.7).
std::optional<std::span<std::byte>> area(const GuestMemory& memory, GuestAddress address,
                                         std::uint64_t alignment, std::uint64_t size) {
    if (address.value % alignment != 0) return std::nullopt;
    return memory.span_at(address, size);
}

std::uint16_t load(std::uint16_t& word, std::memory_order order = std::memory_order_relaxed) {
    return std::atomic_ref(word).load(order);
}
void store(std::uint16_t& word, std::uint16_t value, std::memory_order order = std::memory_order_relaxed) {
    std::atomic_ref(word).store(value, order);
}

std::uint16_t distance(std::uint16_t from, std::uint16_t to) {
    return static_cast<std::uint16_t>(to - from);
}

/// True when an index that moved from `before` to `now` passed `event` (2.7.10).
bool passed(std::uint16_t event, std::uint16_t now, std::uint16_t before) {
    return distance(static_cast<std::uint16_t>(event + 1), now) < distance(before, now);
}

}  // namespace

const char* describe(QueueFault fault) {
    switch (fault) {
        case QueueFault::none:
            return "no fault";
        case QueueFault::bad_size:
            return "its size is no power of two, or larger than the device allows";
        case QueueFault::bad_area:
            return "one of its areas is misaligned or not in memory";
        case QueueFault::index_jump:
            return "more chains are available than it has entries";
        case QueueFault::bad_head:
            return "an available chain begins at no descriptor";
        case QueueFault::bad_next:
            return "a descriptor is followed by none of the table";
        case QueueFault::endless_chain:
            return "a descriptor chain loops or is too long";
        case QueueFault::empty_buffer:
            return "a buffer is empty";
        case QueueFault::bad_address:
            return "a buffer lies outside of memory";
        case QueueFault::read_after_write:
            return "a buffer to read follows one to write";
        case QueueFault::bad_indirect:
            return "an indirect table is not allowed, misshapen or outside of memory";
        case QueueFault::malformed_request:
            return "a chain is no request";
    }
    return "unknown fault";
}

std::expected<Virtqueue, QueueFault> Virtqueue::attach(const GuestMemory& memory, const Setup& setup,
                                                       std::uint64_t features, Position position) {
    if (!std::has_single_bit(setup.size) || setup.size > max_size)
        return std::unexpected(QueueFault::bad_size);
    const auto descriptors = area(memory, setup.descriptors, 16, sizeof(Descriptor) * setup.size);
    const auto driver = area(memory, setup.driver_area, 2, available_entry(setup.size) + 2);
    const auto device = area(memory, setup.device_area, 4, used_entry(setup.size) + 2);
    if (!descriptors || !driver || !device) return std::unexpected(QueueFault::bad_area);
    return Virtqueue(memory, *descriptors, *driver, *device, setup.size, features, position);
}

Virtqueue::Virtqueue(const GuestMemory& memory, std::span<std::byte> descriptors,
                     std::span<std::byte> driver_area, std::span<std::byte> device_area, std::uint16_t size,
                     std::uint64_t features, Position position)
    : memory_(&memory),
      descriptors_(descriptors),
      driver_area_(driver_area),
      device_area_(device_area),
      size_(size),
      event_index_((features & virtio::feature::event_index) != 0),
      indirect_((features & virtio::feature::indirect_descriptors) != 0),
      position_(position) {}

std::uint16_t& Virtqueue::word(std::span<std::byte> bytes, std::size_t offset) const {
    return *reinterpret_cast<std::uint16_t*>(bytes.data() + offset);
}

std::uint16_t Virtqueue::available_index() const {
    return load(word(driver_area_, index_offset), std::memory_order_acquire);
}

bool Virtqueue::pop(DescriptorChain& chain) {
    if (fault_ != QueueFault::none) return false;
    const std::uint16_t waiting = distance(position_.next_available, available_index());
    if (waiting == 0) return false;
    chain.readable.clear();
    chain.writable.clear();
    chain.head = load(word(driver_area_, available_entry(position_.next_available % size_)));
    if (waiting > size_)
        fault_ = QueueFault::index_jump;
    else if (chain.head >= size_)
        fault_ = QueueFault::bad_head;
    else
        fault_ = walk(descriptors_, chain.head, false, chain);
    if (fault_ != QueueFault::none) return false;
    ++position_.next_available;
    return true;
}

QueueFault Virtqueue::walk(std::span<const std::byte> table, std::uint16_t first, bool indirect,
                           DescriptorChain& chain) const {
    const std::size_t entries = table.size() / sizeof(Descriptor);
    std::size_t index = first;
    for (std::size_t steps = 0; steps < entries; ++steps) {
        Descriptor descriptor;
        std::memcpy(&descriptor, table.data() + index * sizeof(Descriptor), sizeof(descriptor));
        if ((descriptor.flags & virtio::descriptor_indirect) != 0)
            return indirect || (descriptor.flags & virtio::descriptor_next) != 0
                       ? QueueFault::bad_indirect
                       : walk_indirect(descriptor, chain);
        if (const QueueFault fault = add_buffer(descriptor, chain); fault != QueueFault::none) return fault;
        if ((descriptor.flags & virtio::descriptor_next) == 0) return QueueFault::none;
        index = descriptor.next;
        if (index >= entries) return QueueFault::bad_next;
    }
    return QueueFault::endless_chain;
}

QueueFault Virtqueue::walk_indirect(const Descriptor& descriptor, DescriptorChain& chain) const {
    const bool shaped = descriptor.length != 0 && descriptor.length % sizeof(Descriptor) == 0 &&
                        descriptor.length <= max_chain * sizeof(Descriptor);
    if (!indirect_ || !shaped) return QueueFault::bad_indirect;
    const auto table = memory_->span_at({descriptor.address}, descriptor.length);
    return table ? walk(*table, 0, true, chain) : QueueFault::bad_indirect;
}

QueueFault Virtqueue::add_buffer(const Descriptor& descriptor, DescriptorChain& chain) const {
    const bool writes = (descriptor.flags & virtio::descriptor_write) != 0;
    if (descriptor.length == 0) return QueueFault::empty_buffer;
    if (!writes && !chain.writable.empty()) return QueueFault::read_after_write;
    if (chain.readable.size() + chain.writable.size() == max_chain) return QueueFault::endless_chain;
    const auto host = memory_->span_at({descriptor.address}, descriptor.length);
    if (!host) return QueueFault::bad_address;
    (writes ? chain.writable : chain.readable).push_back({host->data(), host->size()});
    return QueueFault::none;
}

void Virtqueue::push(std::uint16_t head, std::uint32_t written) {
    const UsedElement element{head, written};
    std::memcpy(device_area_.data() + used_entry(position_.next_used % size_), &element, sizeof(element));
    ++position_.next_used;
    store(word(device_area_, index_offset), position_.next_used, std::memory_order_release);
}

bool Virtqueue::interrupt_due() {
    if (position_.announced == position_.next_used) return false;
    // What was pushed is visible before the driver's wish is read: either it sees the entry, or we its wish.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const std::uint16_t before = position_.announced;
    position_.announced = position_.next_used;
    if (event_index_)
        return passed(load(word(driver_area_, available_entry(size_))), position_.next_used, before);
    return (load(word(driver_area_, flags_offset)) & virtio::available_no_interrupt) == 0;
}

void Virtqueue::refuse_doorbells() {
    if (!asked_) return;
    asked_ = false;
    // An event index cannot be taken back, but put as far away as there are entries.
    constexpr std::uint16_t far = 0x8000;
    if (event_index_)
        store(word(device_area_, used_entry(size_)),
              static_cast<std::uint16_t>(position_.next_available + far));
    else
        store(word(device_area_, flags_offset), virtio::used_no_notify);
}

bool Virtqueue::ask_for_doorbell() {
    asked_ = true;
    if (event_index_)
        store(word(device_area_, used_entry(size_)), position_.next_available);
    else
        store(word(device_area_, flags_offset), 0);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return available_index() == position_.next_available;
}

}  // namespace exo::vmm
