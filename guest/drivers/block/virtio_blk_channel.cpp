#include "guest/drivers/block/virtio_blk_channel.h"

#include <cstring>
#include <new>
#include <utility>

#include "guest/drivers/block/virtio_blk.h"

namespace exo::guest {
namespace {

constexpr std::uint32_t type_read = 0;
constexpr std::uint32_t type_write = 1;
constexpr std::uint32_t type_flush = 4;
constexpr std::uint32_t type_get_id = 8;

constexpr std::uint8_t status_ok = 0;
constexpr std::uint8_t status_io_error = 1;
constexpr std::uint8_t status_unsupported = 2;
/// What the status byte holds until the device writes it.
constexpr std::byte status_unwritten{0xff};

/// What a request starts with (5.2.6).
struct Header {
    std::uint32_t type;
    std::uint32_t reserved;
    std::uint64_t sector;
};
static_assert(sizeof(Header) == 16);

/// The control buffer: headers, then status bytes, then room for the serial number.
std::size_t status_offset(std::size_t queue_size) {
    return queue_size * sizeof(Header);
}
std::size_t id_offset(std::size_t queue_size) {
    return status_offset(queue_size) + queue_size;
}

std::uint32_t type_of(BlockOperation operation) {
    switch (operation) {
        case BlockOperation::read:
            return type_read;
        case BlockOperation::write:
            return type_write;
        case BlockOperation::flush:
            return type_flush;
    }
    return type_read;
}

}  // namespace

Result<std::unique_ptr<VirtioBlkChannel>> VirtioBlkChannel::create(VirtioBlk& device, std::uint16_t index,
                                                                   std::uint16_t size, bool event_index,
                                                                   bool indirect, DmaMemory& memory) {
    auto queue = Virtqueue::create(memory, size, event_index, indirect ? max_elements : std::uint16_t{0});
    if (!queue) return std::unexpected(queue.error());
    auto control = DmaBuffer::allocate(memory, id_offset(size) + id_size);
    if (!control) return std::unexpected(control.error());
    std::unique_ptr<VirtioBlkChannel> channel(new (std::nothrow) VirtioBlkChannel(
        device, index, std::move(*queue), std::move(*control), device.time()));
    if (channel == nullptr) return out_of_memory("cannot use a virtio disk");
    return channel;
}

VirtioBlkChannel::VirtioBlkChannel(VirtioBlk& device, std::uint16_t index, Virtqueue virtqueue,
                                   DmaBuffer control, TimeSource& time)
    : device_(device),
      index_(index),
      vector_(VirtioPci::no_vector),
      virtqueue_(std::move(virtqueue)),
      control_(std::move(control)),
      watch_(nullptr, time) {}

std::span<const char> VirtioBlkChannel::read_id(std::uint64_t deadline_ns, TimeSource& time) {
    const DmaSpan id = control_.span().subspan(id_offset(virtqueue_.size()), id_size);
    BlockRequest request;
    request.segments = {&id, 1};
    if (!push(type_get_id, request)) return {};
    publish();
    while (!request.done()) {
        poll();
        if (time.now_ns() >= deadline_ns) recover();
        time.relax();
    }
    if (request.status.load() != BlockStatus::ok) return {};
    return {reinterpret_cast<const char*>(id.data), id_size};
}

std::size_t VirtioBlkChannel::depth() const {
    return virtqueue_.size() / virtqueue_.descriptors_for(3);
}

bool VirtioBlkChannel::push(std::uint32_t type, BlockRequest& request) {
    // The chain's number is known only once it is pushed, so header and status go by the descriptor that
    // will be its head: the first free one.
    if (virtqueue_.descriptors_for(request.segments.size() + 2) > virtqueue_.free_descriptors()) return false;
    const std::uint16_t head = virtqueue_.next_head();
    const std::size_t header_at = head * sizeof(Header);
    const std::size_t status_at = status_offset(virtqueue_.size()) + head;
    const Header header{type, 0, request.operation == BlockOperation::flush ? 0 : request.sector};
    std::memcpy(control_.data() + header_at, &header, sizeof header);
    control_.data()[status_at] = status_unwritten;

    std::array<Virtqueue::Element, max_data_segments + 2> elements;
    std::size_t count = 0;
    elements[count++] = {control_.physical() + header_at, sizeof(Header), false};
    for (const DmaSpan& segment : request.segments)
        elements[count++] = {segment.physical, static_cast<std::uint32_t>(segment.size), type != type_write};
    elements[count++] = {control_.physical() + status_at, 1, true};
    virtqueue_.push({elements.data(), count});
    in_device_[head] = &request;
    ++counters_.submitted;
    return true;
}

void VirtioBlkChannel::publish() {
    if (!virtqueue_.publish()) return;
    ++counters_.doorbells;
    device_.notify(doorbell_, index_);
}

std::size_t VirtioBlkChannel::submit(std::span<BlockRequest* const> requests) {
    std::size_t taken = 0;
    bool pushed = false;
    for (BlockRequest* request : requests) {
        if (const auto status = end_before_device(device_.info(), *request, device_.dead())) {
            ++counters_.submitted;
            counters_.end(*request, *status);
        } else {
            if (!push(type_of(request->operation), *request)) break;
            pushed = true;
        }
        ++taken;
    }
    if (pushed) publish();
    return taken;
}

BlockStatus VirtioBlkChannel::result_of(const Virtqueue::Used& used, const BlockRequest& request) {
    const auto status =
        static_cast<std::uint8_t>(control_.data()[status_offset(virtqueue_.size()) + used.head]);
    if (status == status_io_error) return BlockStatus::medium_error;
    if (status == status_unsupported) return BlockStatus::unsupported;
    if (status != status_ok) return BlockStatus::device_failed;
    // A read that says ok, but filled less than it was asked for, is no data to hand on.
    if (request.operation == BlockOperation::read && used.written < request.bytes() + 1) {
        ++counters_.faults;
        return BlockStatus::medium_error;
    }
    return BlockStatus::ok;
}

std::size_t VirtioBlkChannel::poll() {
    const std::uint64_t before = counters_.completed;
    while (!device_.dead()) {
        const auto used = virtqueue_.pop();
        if (used && !*used) break;
        BlockStatus status = BlockStatus::device_failed;
        if (used) {
            BlockRequest& request = *std::exchange(in_device_[(*used)->head], nullptr);
            status = result_of(**used, request);
            counters_.end(request, status);
        }
        if (status == BlockStatus::device_failed) {
            ++counters_.faults;
            device_.switch_off();
        }
    }
    // Whichever queue it was that had to switch the device off.
    if (device_.dead()) end_all(BlockStatus::device_failed);
    return static_cast<std::size_t>(counters_.completed - before);
}

bool VirtioBlkChannel::has_interrupt() const {
    return !device_.dead() && watch_.usable();
}

void VirtioBlkChannel::recover() {
    device_.recover();
}

bool VirtioBlkChannel::prepare_sleep(std::uint32_t ends) {
    if (device_.dead() || !virtqueue_.enable_interrupts(static_cast<std::uint16_t>(ends))) return false;
    ++counters_.sleeps;
    return true;
}

void VirtioBlkChannel::end_all(BlockStatus status) {
    for (BlockRequest*& request : in_device_)
        if (request != nullptr) counters_.end(*std::exchange(request, nullptr), status);
}

}  // namespace exo::guest
