#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "vmm/base/error.h"
#include "vmm/base/file_descriptor.h"
#include "vmm/storage/disk.h"
#include "vmm/storage/flush_guard.h"

namespace exo::vmm {

/// What O_DIRECT asks of a transfer: addresses and lengths in memory, offsets on the disk. 1 where the page
/// cache takes anything.
struct DirectAlignment {
    std::uint32_t memory = 1;
    std::uint32_t disk = 1;
};

/// A file or block device opened as a disk, and locked against other users for as long as it is open: any
/// number of readers, or one writer.
class DiskImage {
  public:
    struct Options {
        std::string path;
        bool read_only = false;
        bool direct = false;                                ///< past the host's page cache
        std::function<void(const std::string&)> warn = {};  ///< of what happens to it later
    };

    static Result<DiskImage> open(const Options& options);

    int fd() const { return fd_.get(); }
    const DiskGeometry& geometry() const { return geometry_; }
    const DirectAlignment& alignment() const { return alignment_; }
    bool direct() const { return direct_; }
    /// What the end of a request means, for a back-end that is about to tell it.
    DiskCompletion judge(DiskOperation operation, bool fua, const DiskCompletion& completion) {
        return direct_ ? completion : flushes_.judge(operation, fua, completion);
    }

  private:
    DiskImage() = default;

    FileDescriptor fd_;
    DiskGeometry geometry_;
    DirectAlignment alignment_;
    FlushGuard flushes_;
    bool direct_ = false;
};

}  // namespace exo::vmm
