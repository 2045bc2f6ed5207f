#include "guest/drivers/block/fusion_blk.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <string_view>

namespace exo::guest {
namespace {

namespace reg = block::reg;

constexpr std::string_view what = "cannot use a fusion-blk disk";
constexpr std::uint64_t registers_size = block::bar::doorbells + block::page_size;
/// The host's storage may have to finish what it has begun before a reset is complete.
constexpr std::uint64_t reset_timeout_ns = 5 * ns_per_s;
constexpr std::uint32_t largest_block = 64 * 1024;
/// Far beyond any disk, and small enough that a count of bytes cannot overflow.
constexpr std::uint64_t most_sectors = std::uint64_t{1} << 50;
constexpr std::uint32_t largest_transfer = 1024 * 1024;

constexpr std::uint64_t bit(block::Feature feature) {
    return static_cast<std::uint64_t>(feature);
}
constexpr std::uint64_t wanted =
    bit(block::Feature::read_only) | bit(block::Feature::flush) | bit(block::Feature::indirect);

bool is_block_size(std::uint32_t size) {
    return std::has_single_bit(size) && size >= sector_size && size <= largest_block;
}

}  // namespace

bool FusionBlk::matches(const PciFunction& function) {
    return function.vendor() == block::pci_vendor && function.device() == block::pci_device;
}

Result<std::unique_ptr<FusionBlk>> FusionBlk::create(const PciFunction& function,
                                                     const DriverServices& services) {
    std::unique_ptr<FusionBlk> disk(new (std::nothrow) FusionBlk(function, services));
    if (disk == nullptr) return out_of_memory(what);
    if (const auto ready = disk->set_up(); !ready) return std::unexpected(ready.error());
    return disk;
}

FusionBlk::~FusionBlk() {
    switch_off();
    for (unsigned i = 0; i < channel_count_; ++i) {
        channels_[i]->end_all(BlockStatus::device_failed);
        if (stuck_) channels_[i]->leak();
    }
}

Result<void> FusionBlk::set_up() {
    auto registers = function_.map_bar(services_.registers, 0, 0, registers_size);
    if (!registers) return std::unexpected(registers.error());
    registers_ = std::move(*registers);
    if (const auto done = check_identity(); !done) return done;
    function_.change_command(pci_command::bus_master);
    if (const auto done = reset(); !done) return done;
    if (const auto done = read_configuration(); !done) return done;
    read_serial();
    if (const auto done = create_channels(); !done) return done;
    dead_ = false;
    if (const auto done = start(); !done) return done;
    return start_queues(services_);
}

Result<void> FusionBlk::check_identity() {
    if (registers_->read32(reg::magic) != block::magic)
        return fail(what, "its registers are not those of one");
    if (registers_->read32(reg::version) >> 16 != block::version >> 16)
        return fail(what, "it speaks another version of the protocol",
                    "use a guest and a VMM of one release");
    return {};
}

Result<void> FusionBlk::read_configuration() {
    features_ = registers_->read64(reg::device_features) & wanted;
    info_.driver = "fusion-blk";
    info_.sectors = registers_->read64(reg::capacity);
    info_.logical_block = registers_->read32(reg::logical_block);
    info_.physical_block = registers_->read32(reg::physical_block);
    info_.read_only = (features_ & bit(block::Feature::read_only)) != 0;
    info_.has_flush = (features_ & bit(block::Feature::flush)) != 0;
    info_.has_fua = info_.has_flush;
    info_.has_barrier = true;
    if (!is_block_size(info_.logical_block))
        return fail(what, "its block size is not a power of two from 512 to 65536");
    if (info_.sectors == 0) return fail(what, "it is empty");
    if (info_.sectors > most_sectors) return fail(what, "it claims an impossible size");
    if (!is_block_size(info_.physical_block) || info_.physical_block < info_.logical_block)
        info_.physical_block = info_.logical_block;
    const std::uint32_t most = std::min(registers_->read32(reg::max_transfer), largest_transfer);
    info_.max_transfer = most / info_.logical_block * info_.logical_block;
    const bool indirect = (features_ & bit(block::Feature::indirect)) != 0;
    const std::uint32_t segments = indirect ? FusionBlkQueue::max_segments : block::inline_segments;
    info_.max_segments = std::min(registers_->read32(reg::max_segments), segments);
    if (info_.max_transfer == 0 || info_.max_segments == 0)
        return fail(what, "it takes no request as large as one of its blocks");
    return {};
}

void FusionBlk::read_serial() {
    for (std::uint32_t at = 0; at < serial_.size(); at += 4) {
        const std::uint32_t word = registers_->read32(reg::serial + at);
        std::memcpy(serial_.data() + at, &word, sizeof(word));
    }
    const auto end = std::ranges::find_if_not(serial_, [](char c) { return c > ' ' && c <= '~'; });
    info_.serial = {serial_.data(), static_cast<std::size_t>(end - serial_.begin())};
}

Result<void> FusionBlk::create_channels() {
    unsigned wished = std::min({registers_->read32(reg::queue_count), arch::cpu_count(), most_queues});
    if (wished == 0) return fail(what, "it has no queue");
    const std::uint32_t most = registers_->read32(reg::max_ring_capacity);
    if (most < fusion::min_capacity) return fail(what, "its rings are too small");
    // Without MSI-X the disk is polled.
    if (auto table = MsixTable::create(function_, services_.registers)) {
        msix_.emplace(std::move(*table));
        wished = std::min(wished, msix_->size());
    }
    const std::uint32_t capacity = std::bit_floor(std::min(most, FusionBlkQueue::max_capacity));
    for (unsigned index = 0; index < wished; ++index) {
        const auto created = create_channel(index, capacity);
        // What memory and vectors do not suffice for goes over fewer queues.
        if (!created && index == 0) return created;
        if (!created) break;
    }
    if (msix_) msix_->enable();
    return {};
}

Result<void> FusionBlk::create_channel(unsigned index, std::uint32_t capacity) {
    auto rings = FusionBlkQueue::create(services_.dma, capacity);
    if (!rings) return std::unexpected(rings.error());
    std::uint32_t vector = block::no_vector;
    InterruptWatch watch(nullptr, services_.time);
    if (msix_) {
        if (const auto interrupt = services_.interrupts.allocate_msi(index)) {
            msix_->set(index, interrupt->message);
            vector = index;
            watch = InterruptWatch(interrupt->interrupt, services_.time);
        } else if (index > 0) {
            return std::unexpected(interrupt.error());
        }
    }
    channels_[index].reset(new (std::nothrow)
                               FusionBlkChannel(*this, index, std::move(*rings), vector, watch));
    if (channels_[index] == nullptr) return out_of_memory(what);
    channel_count_ = index + 1;
    return {};
}

Result<void> FusionBlk::reset() {
    const std::uint64_t deadline = services_.time.now_ns() + reset_timeout_ns;
    registers_->write32(reg::status, static_cast<std::uint32_t>(block::DeviceStatus::reset));
    while (registers_->read32(reg::status) != static_cast<std::uint32_t>(block::DeviceStatus::reset)) {
        if (services_.time.now_ns() >= deadline) return fail(what, "it does not come out of a reset");
        services_.time.relax();
    }
    return {};
}

Result<void> FusionBlk::start() {
    registers_->write64(reg::driver_features, features_);
    registers_->write32(reg::status, static_cast<std::uint32_t>(block::DeviceStatus::running));
    if (registers_->read32(reg::status) != static_cast<std::uint32_t>(block::DeviceStatus::running))
        return fail(what, "it refuses the features that it offers");
    for (unsigned i = 0; i < channel_count_; ++i)
        if (const auto started = start_channel(*channels_[i]); !started) return started;
    return {};
}

Result<void> FusionBlk::start_channel(const FusionBlkChannel& channel) {
    registers_->write32(reg::queue_select, channel.index());
    registers_->write32(reg::ring_capacity, channel.rings().capacity());
    registers_->write64(reg::submission_ring, channel.rings().submission_ring());
    registers_->write64(reg::completion_ring, channel.rings().completion_ring());
    registers_->write32(reg::queue_vector, channel.vector());
    registers_->write32(reg::queue_state, static_cast<std::uint32_t>(block::QueueState::enabled));
    if (registers_->read32(reg::queue_state) != static_cast<std::uint32_t>(block::QueueState::enabled))
        return fail(what, "it refuses the queue");
    return {};
}

// All locks of the channels at once are more than the analysis follows.
void FusionBlk::recover() EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    const auto channels = std::span(channels_).first(channel_count_);
    for (const auto& channel : channels) channel->lock().lock();
    bool back = false;
    if (!dead()) {
        if (reset()) {
            for (const auto& channel : channels) {
                channel->end_all(BlockStatus::timed_out);
                channel->format();
            }
            back = start().has_value();
        }
        if (!back) switch_off();
    }
    if (!back)
        for (const auto& channel : channels) channel->end_all(BlockStatus::timed_out);
    for (const auto& channel : channels) channel->lock().unlock();
}

void FusionBlk::switch_off() {
    const Locked guard(stop_lock_);
    if (dead()) return;
    // One that does not even reset may still write: it loses its way to memory, and the rings are not used
    // for anything else.
    if (!reset()) stuck_ = true;
    function_.change_command(0, pci_command::bus_master);
    dead_.store(true, std::memory_order_release);
}

}  // namespace exo::guest
