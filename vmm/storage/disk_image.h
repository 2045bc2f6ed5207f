#pragma once

#include <cstdint>
#include <string>

#include "vmm/base/error.h"
#include "vmm/base/file_descriptor.h"
#include "vmm/storage/disk.h"

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
        bool direct = false;  ///< past the host's page cache
    };

    static Result<DiskImage> open(const Options& options);

    int fd() const { return fd_.get(); }
    const DiskGeometry& geometry() const { return geometry_; }
    const DirectAlignment& alignment() const { return alignment_; }
    bool direct() const { return direct_; }

  private:
    DiskImage() = default;

    FileDescriptor fd_;
    DiskGeometry geometry_;
    DirectAlignment alignment_;
    bool direct_ = false;
};

}  // namespace exo::vmm
