#include <algorithm>
#include <cstring>

#include "vmm/devices/fusion_blk.h"

namespace exo::vmm {
namespace {

using block::DeviceStatus;
using block::Feature;
using block::QueueState;
namespace reg = block::reg;

constexpr std::uint32_t nothing = 0xffff'ffff;

constexpr std::uint32_t low(std::uint64_t value) {
    return static_cast<std::uint32_t>(value);
}
constexpr std::uint32_t high(std::uint64_t value) {
    return static_cast<std::uint32_t>(value >> 32);
}
constexpr std::uint64_t with_low(std::uint64_t value, std::uint32_t half) {
    return (value & ~0xffff'ffffull) | half;
}
constexpr std::uint64_t with_high(std::uint64_t value, std::uint32_t half) {
    return (value & 0xffff'ffffull) | std::uint64_t{half} << 32;
}

constexpr bool is_wide(std::uint64_t offset) {
    return offset == reg::device_features || offset == reg::driver_features || offset == reg::capacity ||
           offset == reg::submission_ring || offset == reg::completion_ring ||
           (offset >= reg::serial && offset < reg::serial + block::serial_size && offset % 8 == 0);
}

/// The accesses that the register page takes: 32 bits anywhere, 64 bits at a 64-bit register.
constexpr bool is_access(std::uint64_t offset, std::size_t size) {
    if (offset >= block::bar::doorbells) return false;
    return (size == 4 && offset % 4 == 0) || (size == 8 && is_wide(offset));
}

}  // namespace

void FusionBlk::read(std::uint64_t offset, std::span<std::byte> data) {
    std::ranges::fill(data, std::byte{0xff});
    if (!is_access(offset, data.size())) return;
    const std::lock_guard lock(mutex_);
    for (std::size_t at = 0; at < data.size(); at += 4) {
        const std::uint32_t value = read_register(static_cast<std::uint32_t>(offset + at));
        std::memcpy(data.data() + at, &value, 4);
    }
}

void FusionBlk::write(std::uint64_t offset, std::span<const std::byte> data) {
    if (offset >= block::bar::doorbells && data.size() == 4) return ring_doorbell(offset);
    if (!is_access(offset, data.size())) return;
    const std::lock_guard lock(mutex_);
    for (std::size_t at = 0; at < data.size(); at += 4) {
        std::uint32_t value = 0;
        std::memcpy(&value, data.data() + at, 4);
        write_register(static_cast<std::uint32_t>(offset + at), value);
    }
}

void FusionBlk::ring_doorbell(std::uint64_t offset) const {
    const std::uint64_t queue = (offset - block::bar::doorbells) / 4;
    if (offset % 4 == 0 && queue < queue_count()) doorbells_.ring(static_cast<std::uint32_t>(queue));
}

std::uint64_t FusionBlk::offered_features() const {
    std::uint64_t features =
        static_cast<std::uint64_t>(Feature::flush) | static_cast<std::uint64_t>(Feature::indirect);
    if (shared_.limits.read_only) features |= static_cast<std::uint64_t>(Feature::read_only);
    return features;
}

std::uint32_t FusionBlk::read_register(std::uint32_t offset) const {
    switch (offset) {
        case reg::magic:
            return block::magic;
        case reg::version:
            return block::version;
        case reg::device_features:
            return low(offered_features());
        case reg::device_features + 4:
            return high(offered_features());
        case reg::driver_features:
            return low(driver_features_);
        case reg::driver_features + 4:
            return high(driver_features_);
        case reg::status:
            return static_cast<std::uint32_t>(status_);
        case reg::queue_count:
            return queue_count();
        case reg::capacity:
            return low(shared_.limits.sectors);
        case reg::capacity + 4:
            return high(shared_.limits.sectors);
        case reg::logical_block:
            return shared_.limits.logical_block;
        case reg::physical_block:
            return disk_.geometry().physical_block;
        case reg::max_transfer:
            return fusion_blk_max_transfer;
        case reg::max_segments:
            return block::indirect_segments;
        case reg::max_ring_capacity:
            return fusion_blk_max_ring_capacity;
        case reg::queue_select:
            return queue_select_;
        default:
            return offset >= reg::serial ? read_serial(offset - reg::serial) : read_queue_register(offset);
    }
}

std::uint32_t FusionBlk::read_serial(std::uint32_t offset) const {
    if (offset >= block::serial_size) return nothing;
    char bytes[block::serial_size] = {};
    serial_.copy(bytes, sizeof(bytes));
    std::uint32_t value = 0;
    std::memcpy(&value, bytes + offset, 4);
    return value;
}

std::uint32_t FusionBlk::read_queue_register(std::uint32_t offset) const {
    if (queue_select_ >= queues_.size()) return nothing;
    const QueueRegisters& queue = queues_[queue_select_].registers;
    switch (offset) {
        case reg::ring_capacity:
            return queue.ring_capacity;
        case reg::submission_ring:
            return low(queue.submission_ring);
        case reg::submission_ring + 4:
            return high(queue.submission_ring);
        case reg::completion_ring:
            return low(queue.completion_ring);
        case reg::completion_ring + 4:
            return high(queue.completion_ring);
        case reg::queue_vector:
            return queue.vector;
        case reg::queue_state:
            return static_cast<std::uint32_t>(queue.state);
        default:
            return nothing;
    }
}

void FusionBlk::write_register(std::uint32_t offset, std::uint32_t value) {
    const bool settled = status_ != DeviceStatus::reset;
    switch (offset) {
        case reg::driver_features:
            if (!settled) driver_features_ = with_low(driver_features_, value);
            break;
        case reg::driver_features + 4:
            if (!settled) driver_features_ = with_high(driver_features_, value);
            break;
        case reg::status:
            write_status(value);
            break;
        case reg::queue_select:
            queue_select_ = value;
            break;
        default:
            write_queue_register(offset, value);
            break;
    }
}

void FusionBlk::write_status(std::uint32_t value) {
    if (value == static_cast<std::uint32_t>(DeviceStatus::reset)) return reset_locked();
    if (value != static_cast<std::uint32_t>(DeviceStatus::running) || status_ != DeviceStatus::reset) return;
    const bool known = (driver_features_ & ~offered_features()) == 0;
    status_ = known ? DeviceStatus::running : DeviceStatus::failed;
    shared_.limits.features = driver_features_;
}

void FusionBlk::write_queue_register(std::uint32_t offset, std::uint32_t value) {
    if (queue_select_ >= queues_.size() || queues_[queue_select_].engine) return;
    QueueRegisters& queue = queues_[queue_select_].registers;
    switch (offset) {
        case reg::ring_capacity:
            queue.ring_capacity = value;
            break;
        case reg::submission_ring:
            queue.submission_ring = with_low(queue.submission_ring, value);
            break;
        case reg::submission_ring + 4:
            queue.submission_ring = with_high(queue.submission_ring, value);
            break;
        case reg::completion_ring:
            queue.completion_ring = with_low(queue.completion_ring, value);
            break;
        case reg::completion_ring + 4:
            queue.completion_ring = with_high(queue.completion_ring, value);
            break;
        case reg::queue_vector:
            queue.vector = value;
            break;
        case reg::queue_state:
            if (value == static_cast<std::uint32_t>(QueueState::enabled))
                enable(queues_[queue_select_], queue_select_);
            break;
        default:
            break;
    }
}

std::expected<FusionBlkQueue, QueueState> FusionBlk::attach(const QueueRegisters& registers,
                                                            std::uint32_t index) const {
    return FusionBlkQueue::attach(shared_.memory, {.index = index,
                                                   .capacity = registers.ring_capacity,
                                                   .submission_ring = {registers.submission_ring},
                                                   .completion_ring = {registers.completion_ring},
                                                   .has_interrupt = registers.vector != block::no_vector});
}

void FusionBlk::enable(Queue& queue, std::uint32_t index) {
    QueueRegisters& registers = queue.registers;
    const bool has_interrupt = registers.vector != block::no_vector;
    if (status_ != DeviceStatus::running) {
        registers.state = QueueState::not_running;
    } else if (has_interrupt && (registers.vector >= lines_.size() || lines_[registers.vector] == nullptr)) {
        registers.state = QueueState::bad_vector;
    } else {
        auto engine = attach(registers, index);
        registers.state = engine ? QueueState::enabled : engine.error();
        if (!engine) return;
        queue.engine.emplace(std::move(*engine));
        // From the first request on the guest has to ring; one that lies there already rings for itself.
        if (!queue.engine->settle(shared_, Pass::rest)) doorbells_.ring(index);
    }
}

}  // namespace exo::vmm
