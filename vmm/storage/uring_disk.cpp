#include "vmm/storage/uring_disk.h"

#include <algorithm>
#include <array>
#include <utility>

namespace exo::vmm {
namespace {

constexpr std::array needed_operations = {IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_READ,
                                          IORING_OP_WRITE, IORING_OP_FSYNC,  IORING_OP_FALLOCATE};

bool has_needed_operations(io_uring& ring) {
    const std::unique_ptr<io_uring_probe, decltype(&io_uring_free_probe)> probe(
        io_uring_get_probe_ring(&ring), &io_uring_free_probe);
    return probe != nullptr && std::ranges::all_of(needed_operations, [&](int operation) {
               return io_uring_opcode_supported(probe.get(), operation) != 0;
           });
}

std::unexpected<Error> refused(int number) {
    return fail_errno("io_uring", number,
                      "the host or its container forbids it; threads serve the disk instead");
}

}  // namespace

void UringDisk::Exit::operator()(io_uring* ring) const {
    io_uring_queue_exit(ring);
    delete ring;
}

Result<UringDisk::Ring> UringDisk::make_ring(int completion_fd) {
    auto memory = std::make_unique<io_uring>();
    if (const int result = io_uring_queue_init(queue_depth, memory.get(), 0); result < 0)
        return refused(-result);
    Ring ring(memory.release());
    if (!has_needed_operations(*ring)) return refused(EOPNOTSUPP);
    const int result = io_uring_register_eventfd(ring.get(), completion_fd);
    if (result < 0) return refused(-result);
    return ring;
}

Result<std::unique_ptr<UringDisk>> UringDisk::create(DiskImage& image) {
    auto completed = EventFd::create();
    if (!completed) return std::unexpected(completed.error());
    auto ring = make_ring(completed->get());
    if (!ring) return std::unexpected(ring.error());
    return std::unique_ptr<UringDisk>(
        new UringDisk(std::move(image), std::move(*completed), std::move(*ring)));
}

UringDisk::UringDisk(DiskImage image, EventFd completed, Ring ring)
    : image_(std::move(image)),
      completed_(std::move(completed)),
      ring_(std::move(ring)),
      transfers_(queue_depth) {
    const int file = image_.fd();
    registered_file_ = io_uring_register_files(ring_.get(), &file, 1) == 0;
    for (std::uint32_t i = queue_depth; i > 0; --i) idle_.push_back(i - 1);
}

UringDisk::~UringDisk() {
    DiskCompletion dropped;
    while (in_flight_ > 0) {
        io_uring_submit_and_wait(ring_.get(), 1);
        while (reap({&dropped, 1}) > 0) continue;
    }
}

std::string UringDisk::description() const {
    return image_.direct() ? "io_uring, direct" : "io_uring";
}

void UringDisk::submit(std::span<const DiskRequest> requests) {
    for (const DiskRequest& request : requests) {
        const std::uint32_t index = idle_.back();
        idle_.pop_back();
        ++in_flight_;
        transfers_[index].begin(request, image_.alignment());
        transfers_[index].ticket = image_.begin(request);
        start(index);
    }
    push();
}

void UringDisk::start(std::uint32_t index) {
    // There is an entry for each transfer, and each transfer has at most one call under way.
    io_uring_sqe* const entry = io_uring_get_sqe(ring_.get());
    prepare(entry, transfers_[index]);
    io_uring_sqe_set_data64(entry, index);
}

void UringDisk::prepare(io_uring_sqe* entry, Transfer& transfer) const {
    const int file = registered_file_ ? 0 : image_.fd();
    const auto offset = static_cast<std::uint64_t>(transfer.offset());
    if (transfer.ended()) {
        io_uring_prep_nop(entry);  // it failed before it began; its end comes the way of all others
        return;
    }
    switch (transfer.operation()) {
        case DiskOperation::read: {
            const std::span<iovec> segments = transfer.rest();
            io_uring_prep_readv(entry, file, segments.data(), static_cast<unsigned>(segments.size()), offset);
            break;
        }
        case DiskOperation::write: {
            const std::span<iovec> segments = transfer.rest();
            io_uring_prep_writev2(entry, file, segments.data(), static_cast<unsigned>(segments.size()),
                                  offset, transfer.fua() ? RWF_DSYNC : 0);
            break;
        }
        case DiskOperation::flush:
            io_uring_prep_fsync(entry, file, IORING_FSYNC_DATASYNC);
            break;
        case DiskOperation::discard:
        case DiskOperation::write_zeroes:
            io_uring_prep_fallocate(entry, file, transfer.fallocate_mode(), transfer.offset(),
                                    transfer.length());
            break;
    }
    if (registered_file_) io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
}

void UringDisk::push() {
    while (io_uring_sq_ready(ring_.get()) > 0) {
        const int result = io_uring_submit(ring_.get());
        if (result > 0 || result == -EINTR) continue;
        completed_.signal();
        return;
    }
}

bool UringDisk::take(std::optional<DiskCompletion>& told) {
    io_uring_cqe* entry = nullptr;
    if (io_uring_peek_cqe(ring_.get(), &entry) != 0) return false;
    const auto index = static_cast<std::uint32_t>(io_uring_cqe_get_data64(entry));
    const int result = entry->res;
    io_uring_cqe_seen(ring_.get(), entry);
    Transfer& transfer = transfers_[index];
    if (!transfer.ended()) transfer.advance(result);
    if (!transfer.ended()) {
        start(index);
        return true;
    }
    told = image_.end(transfer.ticket, transfer.finish());
    idle_.push_back(index);
    --in_flight_;
    return true;
}

std::size_t UringDisk::reap(std::span<DiskCompletion> completions) {
    std::size_t count = 0;
    while (count < completions.size()) {
        std::optional<DiskCompletion> told = image_.next();
        if (!told && !take(told)) break;
        if (told) completions[count++] = *told;
    }
    push();
    return count;
}

}  // namespace exo::vmm
