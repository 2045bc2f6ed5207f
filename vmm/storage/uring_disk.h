#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "vmm/base/event_fd.h"
#include "vmm/storage/disk.h"
#include "vmm/storage/disk_image.h"
#include "vmm/storage/transfer.h"

namespace exo::vmm {

/// A disk image served by io_uring: a batch of requests is one system call, and without the page cache
/// (`direct`) the data moves between the medium and the guest's own pages.
class UringDisk final : public Disk {
  public:
    /// Takes the image only when it succeeds. Containers often refuse io_uring: then ThreadDisk does the
    /// work.
    static Result<std::unique_ptr<UringDisk>> create(DiskImage& image);
    /// Waits for the requests in flight: the kernel may still write into the memory they name.
    ~UringDisk() override;
    UringDisk(const UringDisk&) = delete;
    UringDisk& operator=(const UringDisk&) = delete;

    const DiskGeometry& geometry() const override { return image_.geometry(); }
    std::string description() const override;
    std::size_t depth() const override { return queue_depth; }
    void submit(std::span<const DiskRequest> requests) override;
    std::size_t reap(std::span<DiskCompletion> completions) override;
    int completion_fd() const override { return completed_.get(); }

  private:
    static constexpr std::size_t queue_depth = 256;

    struct Exit {
        void operator()(io_uring* ring) const;
    };
    using Ring = std::unique_ptr<io_uring, Exit>;

    static Result<Ring> make_ring(int completion_fd);
    UringDisk(DiskImage image, EventFd completed, Ring ring);
    void start(std::uint32_t index);
    void prepare(io_uring_sqe* entry, Transfer& transfer) const;
    /// Tells the kernel about new entries. Those that it does not take now stay queued, and the completion
    /// descriptor makes the caller come back.
    void push();
    /// One completion of the kernel's; false when there is none. What the guest is told of it, if anything.
    bool take(std::optional<DiskCompletion>& told);

    DiskImage image_;
    EventFd completed_;
    Ring ring_;
    bool registered_file_ = false;
    std::vector<Transfer> transfers_;
    std::vector<std::uint32_t> idle_;
    std::size_t in_flight_ = 0;
};

}  // namespace exo::vmm
