#include "guest/drivers/block/virtio_blk.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <string_view>

namespace exo::guest {
namespace {

namespace feature {
constexpr std::uint64_t size_max = 1u << 1;
constexpr std::uint64_t seg_max = 1u << 2;
constexpr std::uint64_t read_only = 1u << 5;
constexpr std::uint64_t block_size = 1u << 6;
constexpr std::uint64_t flush = 1u << 9;
constexpr std::uint64_t topology = 1u << 10;
constexpr std::uint64_t wanted =
    size_max | seg_max | read_only | block_size | flush | topology | virtio_feature::event_index;
}  // namespace feature

/// The device's configuration (5.2.4).
namespace config {
constexpr std::uint64_t capacity = 0;
constexpr std::uint64_t size_max = 8;
constexpr std::uint64_t seg_max = 12;
constexpr std::uint64_t block_size = 20;
constexpr std::uint64_t physical_exponent = 24;
}  // namespace config

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

constexpr std::uint32_t largest_transfer = 1024 * 1024;
constexpr std::uint32_t largest_block = 64 * 1024;
/// Far beyond any disk, and small enough that a count of bytes cannot overflow.
constexpr std::uint64_t most_sectors = std::uint64_t{1} << 50;
constexpr std::uint64_t id_timeout_ns = 1 * ns_per_s;
constexpr std::string_view what = "cannot use a virtio disk";

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

bool VirtioBlk::matches(const PciFunction& function) {
    const std::uint16_t device = function.device();
    return function.vendor() == VirtioPci::vendor &&
           (device == pci_device || device == transitional_pci_device);
}

Result<std::unique_ptr<VirtioBlk>> VirtioBlk::create(const PciFunction& function,
                                                     const DriverServices& services) {
    auto transport = VirtioPci::create(function, services.registers);
    if (!transport) return std::unexpected(transport.error());
    std::unique_ptr<VirtioBlk> disk(new (std::nothrow) VirtioBlk(std::move(*transport), services));
    if (disk == nullptr) return out_of_memory(what);
    if (const auto ready = disk->set_up(); !ready) return std::unexpected(ready.error());
    disk->read_serial();
    if (const auto done = disk->start_queues(services); !done) return std::unexpected(done.error());
    return disk;
}

VirtioBlk::~VirtioBlk() {
    switch_off(BlockStatus::device_failed);
}

Result<void> VirtioBlk::set_up() {
    transport_.function().change_command(pci_command::bus_master);
    if (const auto done = transport_.reset(services_.time); !done) return done;
    const auto accepted = transport_.negotiate(feature::wanted);
    if (!accepted) return std::unexpected(accepted.error());
    features_ = *accepted;
    if (const auto done = read_configuration(); !done) return done;
    if (const auto done = create_queue(); !done) return done;
    set_up_interrupt();
    if (const auto done = transport_.start_queue(0, *virtqueue_, vector_); !done) return done;
    transport_.start();
    return {};
}

Result<void> VirtioBlk::read_configuration() {
    Registers& registers = transport_.configuration();
    const auto read32 = [&](std::uint64_t bit, std::uint64_t offset, std::uint32_t otherwise) {
        const bool there = (features_ & bit) != 0 && offset + 4 <= registers.size();
        return there ? registers.read32(offset) : otherwise;
    };
    std::uint32_t size_max = 0;
    std::uint32_t seg_max = 0;
    std::uint32_t physical_exponent = 0;
    // Read again when the device changed it meanwhile; one that never rests is read as it is, and checked.
    for (int attempt = 0; attempt < 8; ++attempt) {
        const std::uint8_t generation = transport_.configuration_generation();
        info_.sectors =
            registers.read32(config::capacity) | std::uint64_t{registers.read32(config::capacity + 4)} << 32;
        size_max = read32(feature::size_max, config::size_max, largest_transfer);
        seg_max = read32(feature::seg_max, config::seg_max, 1);
        info_.logical_block = read32(feature::block_size, config::block_size, sector_size);
        physical_exponent = read32(feature::topology, config::physical_exponent, 0) & 0xff;
        if (transport_.configuration_generation() == generation) break;
    }
    if (!std::has_single_bit(info_.logical_block) || info_.logical_block < sector_size ||
        info_.logical_block > largest_block)
        return fail(what, "its block size is not a power of two from 512 to 65536");
    if (info_.sectors == 0) return fail(what, "it is empty");
    if (info_.sectors > most_sectors) return fail(what, "it claims an impossible size");
    info_.driver = "virtio-blk";
    info_.physical_block =
        physical_exponent < 16 ? info_.logical_block << physical_exponent : info_.logical_block;
    info_.max_transfer = std::min(largest_transfer, size_max) / info_.logical_block * info_.logical_block;
    if (info_.max_transfer == 0) return fail(what, "it takes no request as large as one of its blocks");
    info_.max_segments = std::clamp<std::uint32_t>(seg_max, 1, max_data_segments);
    info_.read_only = (features_ & feature::read_only) != 0;
    info_.has_flush = (features_ & feature::flush) != 0;
    return {};
}

Result<void> VirtioBlk::create_queue() {
    // A device may allow any size, the driver needs a power of two: the one below will do.
    const std::uint16_t most = std::min(transport_.max_queue_size(0), Virtqueue::max_size);
    const std::uint16_t size = std::bit_floor(most);
    if (size < 4) return fail(what, "its queue is too small for one request");
    auto queue = Virtqueue::create(services_.dma, size, (features_ & virtio_feature::event_index) != 0);
    if (!queue) return std::unexpected(queue.error());
    auto control = DmaBuffer::allocate(services_.dma, id_offset(size) + serial_.size());
    if (!control) return std::unexpected(control.error());
    virtqueue_.emplace(std::move(*queue));
    control_ = std::move(*control);
    info_.max_segments = std::min<std::uint32_t>(info_.max_segments, size - 2u);
    return {};
}

void VirtioBlk::set_up_interrupt() {
    // Without MSI-X, or when the machine has no vector left, the disk is polled.
    auto table = MsixTable::create(transport_.function(), services_.registers);
    if (!table) return;
    const auto interrupt = services_.interrupts.allocate_msi(0);
    if (!interrupt) return;
    table->set(0, interrupt->message);
    table->enable();
    msix_.emplace(std::move(*table));
    vector_ = 0;
    watch_ = InterruptWatch(interrupt->interrupt, services_.time);
}

void VirtioBlk::read_serial() {
    const DmaSpan id = control_.span().subspan(id_offset(virtqueue_->size()), serial_.size());
    BlockRequest request;
    request.segments = {&id, 1};
    if (!push(type_get_id, request)) return;
    publish();
    const std::uint64_t deadline = services_.time.now_ns() + id_timeout_ns;
    while (!request.done()) {
        poll();
        if (services_.time.now_ns() >= deadline) recover();
        services_.time.relax();
    }
    // A disk without a name is a disk all the same.
    if (request.status.load() != BlockStatus::ok) return;
    std::memcpy(serial_.data(), id.data, serial_.size());
    const auto printable = [](char c) { return c > ' ' && c <= '~'; };
    const auto end = std::ranges::find_if_not(serial_, printable);
    info_.serial = {serial_.data(), static_cast<std::size_t>(end - serial_.begin())};
}

std::size_t VirtioBlk::depth() const {
    return virtqueue_->size() / 3u;
}

bool VirtioBlk::push(std::uint32_t type, BlockRequest& request) {
    // The chain's number is known only once it is pushed, so header and status go by the descriptor that
    // will be its head: the first free one.
    if (request.segments.size() + 2 > virtqueue_->free_descriptors()) return false;
    const std::uint16_t head = virtqueue_->next_head();
    const std::size_t header_at = head * sizeof(Header);
    const std::size_t status_at = status_offset(virtqueue_->size()) + head;
    const Header header{type, 0, request.operation == BlockOperation::flush ? 0 : request.sector};
    std::memcpy(control_.data() + header_at, &header, sizeof header);
    control_.data()[status_at] = status_unwritten;

    std::array<Virtqueue::Element, max_data_segments + 2> elements;
    std::size_t count = 0;
    elements[count++] = {control_.physical() + header_at, sizeof(Header), false};
    for (const DmaSpan& segment : request.segments)
        elements[count++] = {segment.physical, static_cast<std::uint32_t>(segment.size), type != type_write};
    elements[count++] = {control_.physical() + status_at, 1, true};
    virtqueue_->push({elements.data(), count});
    in_device_[head] = &request;
    ++counters_.submitted;
    return true;
}

void VirtioBlk::publish() {
    if (!virtqueue_->publish()) return;
    ++counters_.doorbells;
    transport_.notify(0);
}

std::size_t VirtioBlk::submit(std::span<BlockRequest* const> requests) {
    std::size_t taken = 0;
    bool pushed = false;
    for (BlockRequest* request : requests) {
        BlockStatus status = dead_ ? BlockStatus::device_failed : check_request(info_, *request);
        const bool needs_device = request->operation != BlockOperation::flush || info_.has_flush;
        if (status == BlockStatus::ok && needs_device) {
            if (!push(type_of(request->operation), *request)) break;
            pushed = true;
        } else {
            ++counters_.submitted;
            end(*request, status);
        }
        ++taken;
    }
    if (pushed) publish();
    return taken;
}

BlockStatus VirtioBlk::result_of(const Virtqueue::Used& used, const BlockRequest& request) {
    const auto status =
        static_cast<std::uint8_t>(control_.data()[status_offset(virtqueue_->size()) + used.head]);
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

std::size_t VirtioBlk::poll() {
    const std::uint64_t before = counters_.completed;
    while (!dead_) {
        const auto used = virtqueue_->pop();
        if (used && !*used) break;
        BlockStatus status = BlockStatus::device_failed;
        if (used) {
            BlockRequest& request = *std::exchange(in_device_[(*used)->head], nullptr);
            status = result_of(**used, request);
            end(request, status);
        }
        if (status == BlockStatus::device_failed) {
            ++counters_.faults;
            switch_off(BlockStatus::device_failed);
        }
    }
    return counters_.completed - before;
}

bool VirtioBlk::prepare_sleep(std::uint32_t ends) {
    if (dead_ || !virtqueue_->enable_interrupts(static_cast<std::uint16_t>(ends))) return false;
    ++counters_.sleeps;
    return true;
}

void VirtioBlk::finish_sleep() {
    virtqueue_->disable_interrupts();
}

void VirtioBlk::recover() {
    if (!dead_ && !restart()) switch_off(BlockStatus::timed_out);
}

Result<void> VirtioBlk::restart() {
    if (const auto done = transport_.reset(services_.time); !done) return done;
    end_all(BlockStatus::timed_out);
    virtqueue_->reset();
    const auto accepted = transport_.negotiate(features_);
    if (!accepted || *accepted != features_) return fail(what, "it is not what it was before the reset");
    if (const auto done = transport_.start_queue(0, *virtqueue_, vector_); !done) return done;
    transport_.start();
    return {};
}

void VirtioBlk::end(BlockRequest& request, BlockStatus status) {
    ++counters_.completed;
    if (status != BlockStatus::ok) ++counters_.failed;
    request.finish(status);
}

void VirtioBlk::end_all(BlockStatus status) {
    for (BlockRequest*& request : in_device_)
        if (request != nullptr) end(*std::exchange(request, nullptr), status);
}

void VirtioBlk::switch_off(BlockStatus status) {
    dead_ = true;
    transport_.cut_off();
    end_all(status);
}

}  // namespace exo::guest
