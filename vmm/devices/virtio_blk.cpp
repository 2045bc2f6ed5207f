#include "vmm/devices/virtio_blk.h"

#include <array>
#include <bit>
#include <utility>

namespace exo::vmm {
namespace {

namespace blk = virtio::blk;

/// Requests that one pass takes from a queue, so that a guest which submits without end cannot keep the
/// device from its other work.
constexpr std::uint32_t pick_up_limit = 64;

blk::Config config_of(const DiskGeometry& geometry, std::uint32_t queues) {
    blk::Config config{};
    const std::uint32_t block = geometry.logical_block;
    config.capacity = geometry.size / block::sector_size;
    config.seg_max = Virtqueue::max_size - 2;  // header and status take one each
    config.block_size = block;
    config.physical_block_exponent =
        static_cast<std::uint8_t>(std::countr_zero(std::bit_floor(geometry.physical_block / block)));
    config.min_io_size = static_cast<std::uint16_t>(geometry.physical_block / block);
    config.queue_count = static_cast<std::uint16_t>(queues);
    config.max_discard_sectors = virtio_blk_max_range_sectors;
    config.max_discard_segments = 1;
    config.discard_sector_alignment = geometry.physical_block / block::sector_size;
    config.max_write_zeroes_sectors = virtio_blk_max_range_sectors;
    config.max_write_zeroes_segments = 1;
    config.write_zeroes_may_unmap = 1;
    return config;
}

}  // namespace

VirtioBlk::VirtioBlk(Disk& disk, const Options& options)
    : disk_(disk),
      limits_{DiskLimits::of(disk.geometry())},
      config_(config_of(disk.geometry(), options.queue_count)),
      queues_(options.queue_count) {
    options.serial.copy(limits_.id.data(), limits_.id.size());
    stop();
}

std::uint64_t VirtioBlk::features() const {
    using namespace blk::feature;
    const std::uint64_t every = seg_max | block_size | topology | multi_queue | flush;
    return every | (limits_.read_only ? read_only : discard | write_zeroes);
}

std::span<const std::byte> VirtioBlk::configuration() const {
    return std::as_bytes(std::span(&config_, 1)).first(blk::config_size);
}

void VirtioBlk::stop() {
    limits_.features = 0;
    for (Requests& requests : queues_) {
        requests.entries.resize(Virtqueue::max_size);
        requests.idle.clear();
        for (std::uint32_t i = Virtqueue::max_size; i > 0; --i) requests.idle.push_back(i - 1);
    }
}

/// The disk is reaped twice: what ends while it is submitted (from memory, or from the page cache) goes out
/// with the same interrupt.
bool VirtioBlk::work(std::span<std::optional<Virtqueue>> queues, Pass pass) {
    found_ = false;
    bool more = reap(queues);
    const auto count = static_cast<std::uint32_t>(queues.size());
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t index = (first_queue_ + i) % count;
        if (queues[index]) more |= pick_up(index, *queues[index]);
    }
    first_queue_ = (first_queue_ + 1) % count;
    if (!batch_.empty()) {
        submit();
        more |= reap(queues);
    }
    if (pass == Pass::poll) return more || found_;
    for (std::uint32_t i = 0; i < count; ++i) {
        // Without room the next completion brings us back, and no doorbell is needed.
        if (queues[i] && has_room(queues_[i])) more |= !queues[i]->ask_for_doorbell();
    }
    return more;
}

/// True when it ended before the chains did.
bool VirtioBlk::pick_up(std::uint32_t index, Virtqueue& queue) {
    Requests& requests = queues_[index];
    queue.refuse_doorbells();
    for (std::uint32_t taken = 0; taken < pick_up_limit; ++taken) {
        if (!has_room(requests) || !queue.pop(chain_)) return false;
        found_ = true;
        const std::uint32_t entry = requests.idle.back();
        VirtioBlkRequest& request = requests.entries[entry];
        if (!parse_virtio_blk(chain_, limits_, request)) {
            queue.fail(QueueFault::malformed_request);
            return false;
        }
        requests.idle.pop_back();
        if (!request.needs_disk) {
            if (request.status != block::Status::ok) ++counters_.bad_descriptors;
            finish(index, entry, request.status, queue);
            continue;
        }
        const bool range =
            request.operation == DiskOperation::discard || request.operation == DiskOperation::write_zeroes;
        batch_.push_back({.operation = request.operation,
                          .fua = request.fua,
                          .offset = request.offset,
                          .segments = request.segments,
                          .length = range ? request.bytes : 0,
                          .may_unmap = request.may_unmap,
                          .cookie = std::uint64_t{index} << 32 | entry});
    }
    return true;
}

void VirtioBlk::submit() {
    in_flight_ += batch_.size();
    disk_.submit(batch_);
    batch_.clear();
}

bool VirtioBlk::reap(std::span<std::optional<Virtqueue>> queues) {
    std::array<DiskCompletion, 64> completions;
    const std::size_t count = disk_.reap(completions);
    found_ |= count > 0;
    for (const DiskCompletion& completion : std::span(completions).first(count)) {
        --in_flight_;
        const auto index = static_cast<std::uint32_t>(completion.cookie >> 32);
        const auto entry = static_cast<std::uint32_t>(completion.cookie);
        // After a reset there is no queue to tell; the count is all that matters.
        if (!queues[index]) continue;
        const VirtioBlkRequest& request = queues_[index].entries[entry];
        const block::Status status = status_of(completion, request.bytes);
        if (status == block::Status::ok) counters_.add(request.operation, request.bytes);
        finish(index, entry, status, *queues[index]);
    }
    return count == completions.size();
}

void VirtioBlk::finish(std::uint32_t index, std::uint32_t entry, block::Status status, Virtqueue& queue) {
    const VirtioBlkRequest& request = queues_[index].entries[entry];
    ++counters_.completions[static_cast<std::size_t>(status)];
    queues_[index].idle.push_back(entry);
    *request.status_byte = static_cast<std::byte>(virtio_blk_status(status));
    // What a failed request has left in memory is not said, so none of it is claimed.
    queue.push(request.head, status == block::Status::ok ? static_cast<std::uint32_t>(request.writable) : 0);
}

}  // namespace exo::vmm
