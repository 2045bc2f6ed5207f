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
constexpr std::uint64_t multi_queue = 1u << 12;
constexpr std::uint64_t wanted = size_max | seg_max | read_only | block_size | flush | topology |
                                 multi_queue | virtio_feature::event_index | virtio_feature::indirect;
}  // namespace feature

/// The device's configuration (5.2.4).
namespace config {
constexpr std::uint64_t capacity = 0;
constexpr std::uint64_t size_max = 8;
constexpr std::uint64_t seg_max = 12;
constexpr std::uint64_t block_size = 20;
constexpr std::uint64_t physical_exponent = 24;
constexpr std::uint64_t queue_count = 34;
}  // namespace config

constexpr std::uint32_t largest_transfer = 1024 * 1024;
constexpr std::uint32_t largest_block = 64 * 1024;
/// Far beyond any disk, and small enough that a count of bytes cannot overflow.
constexpr std::uint64_t most_sectors = std::uint64_t{1} << 50;
constexpr std::uint64_t id_timeout_ns = 1 * ns_per_s;
constexpr std::string_view what = "cannot use a virtio disk";

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
    switch_off();
    for (unsigned i = 0; i < channel_count_; ++i) channels_[i]->end_all(BlockStatus::device_failed);
}

Result<void> VirtioBlk::set_up() {
    transport_.function().change_command(pci_command::bus_master);
    if (const auto done = transport_.reset(services_.time); !done) return done;
    const auto accepted = transport_.negotiate(feature::wanted);
    if (!accepted) return std::unexpected(accepted.error());
    features_ = *accepted;
    if (const auto done = read_configuration(); !done) return done;
    if (const auto done = create_channels(); !done) return done;
    if (const auto done = start_channels(); !done) return done;
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
    info_.max_segments = std::clamp<std::uint32_t>(seg_max, 1, VirtioBlkChannel::max_data_segments);
    info_.read_only = (features_ & feature::read_only) != 0;
    info_.has_flush = (features_ & feature::flush) != 0;
    if (registers.size() < config::queue_count + 2) features_ &= ~feature::multi_queue;
    return {};
}

Result<void> VirtioBlk::create_channels() {
    unsigned wished = 1;
    if ((features_ & feature::multi_queue) != 0)
        wished = std::min({unsigned{transport_.configuration().read16(config::queue_count)},
                           transport_.queue_count(), arch::cpu_count(), most_queues});
    wished = std::max(wished, 1u);
    // Without MSI-X the disk is polled.
    if (auto table = MsixTable::create(transport_.function(), services_.registers)) {
        msix_.emplace(std::move(*table));
        wished = std::min(wished, msix_->size());
    }
    for (unsigned index = 0; index < wished; ++index) {
        const auto created = create_channel(static_cast<std::uint16_t>(index));
        // What memory and vectors do not suffice for goes over fewer queues.
        if (!created && index == 0) return created;
        if (!created) break;
    }
    if (msix_) msix_->enable();
    return {};
}

Result<void> VirtioBlk::create_channel(std::uint16_t index) {
    // A device may allow any size, the driver needs a power of two: the one below will do.
    const std::uint16_t most = std::min(transport_.max_queue_size(index), VirtioBlkChannel::max_size);
    const std::uint16_t size = std::bit_floor(most);
    if (size < 4) return fail(what, "its queue is too small for one request");
    auto channel =
        VirtioBlkChannel::create(*this, index, size, (features_ & virtio_feature::event_index) != 0,
                                 (features_ & virtio_feature::indirect) != 0, services_.dma);
    if (!channel) return std::unexpected(channel.error());
    if (msix_) {
        if (const auto interrupt = services_.interrupts.allocate_msi(index)) {
            msix_->set(index, interrupt->message);
            (*channel)->use_interrupt(index, InterruptWatch(interrupt->interrupt, services_.time));
        } else if (index > 0) {
            return std::unexpected(interrupt.error());
        }
    }
    channels_[index] = std::move(*channel);
    channel_count_ = index + 1u;
    // A chain is never longer than the queue, by table or not (2.7.5.3.1).
    info_.max_segments = std::min<std::uint32_t>(info_.max_segments, size - 2u);
    return {};
}

Result<void> VirtioBlk::start_channels() {
    for (unsigned i = 0; i < channel_count_; ++i) {
        VirtioBlkChannel& channel = *channels_[i];
        const auto doorbell = transport_.start_queue(channel.index(), channel.virtqueue(), channel.vector());
        if (!doorbell) return std::unexpected(doorbell.error());
        channel.set_doorbell(*doorbell);
    }
    return {};
}

void VirtioBlk::read_serial() {
    // A disk without a name is a disk all the same.
    const std::uint64_t deadline = services_.time.now_ns() + id_timeout_ns;
    const auto id = channels_[0]->read_id(deadline, services_.time);
    std::ranges::copy(id, serial_.begin());
    const auto printable = [](char c) { return c > ' ' && c <= '~'; };
    const auto end = std::ranges::find_if_not(serial_, printable);
    info_.serial = {serial_.data(), static_cast<std::size_t>(end - serial_.begin())};
}

// All locks of the channels at once are more than the analysis follows.
void VirtioBlk::recover() EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    const auto channels = std::span(channels_).first(channel_count_);
    for (const auto& channel : channels) channel->lock().lock();
    const bool back = !dead() && restart();
    if (!back) switch_off();
    for (const auto& channel : channels)
        if (!back) channel->end_all(BlockStatus::timed_out);
    for (const auto& channel : channels) channel->lock().unlock();
}

/// With the locks of all channels.
Result<void> VirtioBlk::restart() {
    if (const auto done = transport_.reset(services_.time); !done) return done;
    for (unsigned i = 0; i < channel_count_; ++i) {
        channels_[i]->end_all(BlockStatus::timed_out);
        channels_[i]->virtqueue().reset();
    }
    const auto accepted = transport_.negotiate(features_);
    if (!accepted || *accepted != features_) return fail(what, "it is not what it was before the reset");
    if (const auto done = start_channels(); !done) return done;
    transport_.start();
    return {};
}

void VirtioBlk::switch_off() {
    const Locked guard(stop_lock_);
    if (dead()) return;
    transport_.cut_off();
    dead_.store(true, std::memory_order_release);
}

}  // namespace exo::guest
