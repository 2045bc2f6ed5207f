#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "vmm/base/event_fd.h"
#include "vmm/base/mutex.h"
#include "vmm/storage/disk.h"
#include "vmm/storage/disk_image.h"
#include "vmm/storage/transfer.h"

namespace exo::vmm {

/// A disk image served by preadv, pwritev and fdatasync in a few threads: for hosts that refuse io_uring, as
/// many containers do.
class ThreadDisk final : public Disk {
  public:
    static Result<std::unique_ptr<ThreadDisk>> create(DiskImage image);
    /// Waits for the requests in flight.
    ~ThreadDisk() override;
    ThreadDisk(const ThreadDisk&) = delete;
    ThreadDisk& operator=(const ThreadDisk&) = delete;

    const DiskGeometry& geometry() const override { return image_.geometry(); }
    std::string description() const override;
    std::size_t depth() const override { return queue_depth; }
    void submit(std::span<const DiskRequest> requests) override;
    std::size_t reap(std::span<DiskCompletion> completions) override;
    int completion_fd() const override { return completed_.get(); }

  private:
    static constexpr std::size_t queue_depth = 256;
    static constexpr std::size_t worker_count = 4;

    ThreadDisk(DiskImage image, EventFd completed);
    std::unique_ptr<Transfer> begin(const DiskRequest& request);
    /// One that a worker has ended; false when there is none. What the guest is told of it, if anything.
    bool take(std::optional<DiskCompletion>& told);
    void work();
    /// Waits for one; null when the disk is being closed and all are taken.
    std::unique_ptr<Transfer> next_to_carry_out();
    void carry_out(Transfer& transfer) const;
    ssize_t call(Transfer& transfer) const;

    DiskImage image_;
    EventFd completed_;
    Mutex mutex_;
    std::condition_variable_any has_work_;
    std::deque<std::unique_ptr<Transfer>> waiting_ EXO_THREAD_SAFETY(guarded_by(mutex_));
    std::deque<std::unique_ptr<Transfer>> done_ EXO_THREAD_SAFETY(guarded_by(mutex_));
    bool stopping_ EXO_THREAD_SAFETY(guarded_by(mutex_)) = false;
    std::vector<std::unique_ptr<Transfer>> idle_;  // of the disk's user alone, not of the workers
    std::vector<std::jthread> workers_;
};

}  // namespace exo::vmm
