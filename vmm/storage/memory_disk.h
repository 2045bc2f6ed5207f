#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include "vmm/base/event_fd.h"
#include "vmm/storage/disk.h"

namespace exo::vmm {

/// A disk in memory: the fastest that a disk can be, and an exact one for tests. Requests run when they are
/// submitted and end in order.
class MemoryDisk final : public Disk {
  public:
    /// `content` has the disk's first size and bytes; a multiple of the logical block.
    static Result<MemoryDisk> create(std::vector<std::byte> content, bool read_only = false,
                                     std::uint32_t logical_block = 512);

    const DiskGeometry& geometry() const override { return geometry_; }
    std::string description() const override { return "memory"; }
    std::size_t depth() const override { return 256; }
    void submit(std::span<const DiskRequest> requests) override;
    std::size_t reap(std::span<DiskCompletion> completions) override;
    int completion_fd() const override { return completed_.get(); }

    std::span<std::byte> content() { return content_; }

  private:
    MemoryDisk(std::vector<std::byte> content, DiskGeometry geometry, EventFd completed)
        : content_(std::move(content)), geometry_(geometry), completed_(std::move(completed)) {}
    DiskCompletion carry_out(const DiskRequest& request);

    std::vector<std::byte> content_;
    DiskGeometry geometry_;
    EventFd completed_;
    std::deque<DiskCompletion> done_;
};

}  // namespace exo::vmm
