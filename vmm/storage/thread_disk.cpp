#include "vmm/storage/thread_disk.h"

#include <fcntl.h>

#include <cerrno>
#include <system_error>

namespace exo::vmm {

Result<std::unique_ptr<ThreadDisk>> ThreadDisk::create(DiskImage image) {
    auto completed = EventFd::create();
    if (!completed) return std::unexpected(completed.error());
    std::unique_ptr<ThreadDisk> disk(new ThreadDisk(std::move(image), std::move(*completed)));
    try {
        for (std::size_t i = 0; i < worker_count; ++i)
            disk->workers_.emplace_back([disk = disk.get()] { disk->work(); });
    } catch (const std::system_error& error) {
        return fail("threads for disk I/O", error.what(),
                    "raise the limits of processes and of address space (ulimit -u, -v)");
    }
    return disk;
}

ThreadDisk::ThreadDisk(DiskImage image, EventFd completed)
    : image_(std::move(image)), completed_(std::move(completed)) {}

ThreadDisk::~ThreadDisk() {
    {
        const MutexLock lock(mutex_);
        stopping_ = true;
    }
    has_work_.notify_all();
}

std::string ThreadDisk::description() const {
    return image_.direct() ? "threads with preadv/pwritev, direct" : "threads with preadv/pwritev";
}

std::unique_ptr<Transfer> ThreadDisk::begin(const DiskRequest& request) {
    if (idle_.empty()) idle_.push_back(std::make_unique<Transfer>());
    auto transfer = std::move(idle_.back());
    idle_.pop_back();
    transfer->begin(request, image_.alignment());
    transfer->ticket = image_.begin(request);
    return transfer;
}

void ThreadDisk::submit(std::span<const DiskRequest> requests) {
    for (const DiskRequest& request : requests) {
        auto transfer = begin(request);
        {
            const MutexLock lock(mutex_);
            waiting_.push_back(std::move(transfer));
        }
        has_work_.notify_one();
    }
}

bool ThreadDisk::take(std::optional<DiskCompletion>& told) {
    std::unique_ptr<Transfer> transfer;
    {
        const MutexLock lock(mutex_);
        if (done_.empty()) return false;
        transfer = std::move(done_.front());
        done_.pop_front();
    }
    told = image_.end(transfer->ticket, transfer->finish());
    idle_.push_back(std::move(transfer));
    return true;
}

std::size_t ThreadDisk::reap(std::span<DiskCompletion> completions) {
    std::size_t count = 0;
    while (count < completions.size()) {
        std::optional<DiskCompletion> told = image_.next();
        if (!told && !take(told)) break;
        if (told) completions[count++] = *told;
    }
    return count;
}

void ThreadDisk::work() {
    while (auto transfer = next_to_carry_out()) {
        carry_out(*transfer);
        const MutexLock lock(mutex_);
        done_.push_back(std::move(transfer));
        completed_.signal();
    }
}

std::unique_ptr<Transfer> ThreadDisk::next_to_carry_out() {
    const MutexLock lock(mutex_);
    while (!stopping_ && waiting_.empty()) has_work_.wait(mutex_);
    if (waiting_.empty()) return nullptr;
    auto transfer = std::move(waiting_.front());
    waiting_.pop_front();
    return transfer;
}

void ThreadDisk::carry_out(Transfer& transfer) const {
    while (!transfer.ended()) {
        const ssize_t result = call(transfer);
        transfer.advance(result < 0 ? -errno : result);
    }
}

ssize_t ThreadDisk::call(Transfer& transfer) const {
    switch (transfer.operation()) {
        case DiskOperation::read: {
            const std::span<iovec> segments = transfer.rest();
            return ::preadv(image_.fd(), segments.data(), static_cast<int>(segments.size()),
                            transfer.offset());
        }
        case DiskOperation::write: {
            const std::span<iovec> segments = transfer.rest();
            return ::pwritev2(image_.fd(), segments.data(), static_cast<int>(segments.size()),
                              transfer.offset(), transfer.fua() ? RWF_DSYNC : 0);
        }
        case DiskOperation::flush:
            return ::fdatasync(image_.fd());
        case DiskOperation::discard:
        case DiskOperation::write_zeroes:
            return ::fallocate(image_.fd(), transfer.fallocate_mode(), transfer.offset(), transfer.length());
    }
    errno = EINVAL;
    return -1;
}

}  // namespace exo::vmm
