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
    if (!dead_) switch_off(BlockStatus::device_failed);
}

Result<void> FusionBlk::set_up() {
    dead_ = true;  // until it has shown that it is a device of this kind
    auto registers = function_.map_bar(services_.registers, 0, 0, registers_size);
    if (!registers) return std::unexpected(registers.error());
    registers_ = std::move(*registers);
    if (const auto done = check_identity(); !done) return done;
    function_.change_command(pci_command::bus_master);
    if (const auto done = reset(); !done) return done;
    if (const auto done = read_configuration(); !done) return done;
    read_serial();
    if (const auto done = create_queue(); !done) return done;
    set_up_interrupt();
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

Result<void> FusionBlk::create_queue() {
    if (registers_->read32(reg::queue_count) == 0) return fail(what, "it has no queue");
    const std::uint32_t most = registers_->read32(reg::max_ring_capacity);
    if (most < fusion::min_capacity) return fail(what, "its rings are too small");
    auto queue =
        FusionBlkQueue::create(services_.dma, std::bit_floor(std::min(most, FusionBlkQueue::max_capacity)));
    if (!queue) return std::unexpected(queue.error());
    queue_.emplace(std::move(*queue));
    return {};
}

void FusionBlk::set_up_interrupt() {
    // Without MSI-X, or when the machine has no vector left, the disk is polled.
    auto table = MsixTable::create(function_, services_.registers);
    if (!table) return;
    const auto interrupt = services_.interrupts.allocate_msi(0);
    if (!interrupt) return;
    table->set(0, interrupt->message);
    table->enable();
    msix_.emplace(std::move(*table));
    vector_ = 0;
    watch_ = InterruptWatch(interrupt->interrupt, services_.time);
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
    registers_->write32(reg::queue_select, 0);
    registers_->write32(reg::ring_capacity, queue_->capacity());
    registers_->write64(reg::submission_ring, queue_->submission_ring());
    registers_->write64(reg::completion_ring, queue_->completion_ring());
    registers_->write32(reg::queue_vector, vector_);
    registers_->write32(reg::queue_state, static_cast<std::uint32_t>(block::QueueState::enabled));
    if (registers_->read32(reg::queue_state) != static_cast<std::uint32_t>(block::QueueState::enabled))
        return fail(what, "it refuses the queue");
    return {};
}

void FusionBlk::ring_doorbell() {
    ++counters_.doorbells;
    registers_->write32(block::bar::doorbell(0), 0);
}

std::size_t FusionBlk::submit(std::span<BlockRequest* const> requests) {
    std::size_t taken = 0;
    bool pushed = false;
    for (BlockRequest* request : requests) {
        BlockStatus status = dead_ ? BlockStatus::device_failed : check_request(info_, *request);
        const bool needs_device = request->operation != BlockOperation::flush || info_.has_flush;
        if (status == BlockStatus::ok && needs_device) {
            if (queue_->full()) break;
            if (queue_->push(*request)) {
                pushed = true;
                ++counters_.submitted;
                ++taken;
                continue;
            }
            ++counters_.faults;
            switch_off(BlockStatus::device_failed);
            status = BlockStatus::device_failed;
        }
        ++counters_.submitted;
        ++taken;
        end(*request, status);
    }
    if (pushed && !dead_ && queue_->must_ring()) ring_doorbell();
    return taken;
}

std::size_t FusionBlk::poll() {
    const std::uint64_t before = counters_.completed;
    while (!dead_) {
        const auto ended = queue_->pop();
        if (!ended) break;
        if (ended->fault) ++counters_.faults;
        if (ended->request != nullptr) {
            end(*ended->request, ended->status);
        } else {
            switch_off(BlockStatus::device_failed);
        }
    }
    return counters_.completed - before;
}

bool FusionBlk::prepare_sleep(std::uint32_t ends) {
    if (dead_ || !queue_->enable_interrupt(ends)) return false;
    ++counters_.sleeps;
    return true;
}

void FusionBlk::finish_sleep() {
    queue_->disable_interrupt();
}

void FusionBlk::announce(const IoPlan& plan) {
    queue_->announce(plan);
}

void FusionBlk::recover() {
    if (!dead_ && !restart()) switch_off(BlockStatus::timed_out);
}

Result<void> FusionBlk::restart() {
    if (const auto done = reset(); !done) return done;
    end_all(BlockStatus::timed_out);
    queue_->format();
    return start();
}

void FusionBlk::end(BlockRequest& request, BlockStatus status) {
    ++counters_.completed;
    if (status != BlockStatus::ok) ++counters_.failed;
    request.finish(status);
}

void FusionBlk::end_all(BlockStatus status) {
    while (BlockRequest* const request = queue_->take_back()) end(*request, status);
}

void FusionBlk::switch_off(BlockStatus status) {
    dead_ = true;
    // One that does not even reset may still write: it loses its way to memory, and the rings are not used
    // for anything else.
    if (!reset()) queue_->leak();
    function_.change_command(0, pci_command::bus_master);
    end_all(status);
}

}  // namespace exo::guest
