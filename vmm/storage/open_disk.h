#pragma once

#include <memory>

#include "vmm/storage/disk.h"
#include "vmm/storage/disk_image.h"

namespace exo::vmm {

enum class DiskBackend : std::uint8_t {
    automatic,  ///< io_uring, or threads where the host refuses it
    io_uring,
    threads,
};

/// Opens and locks an image and puts a back-end on it.
Result<std::unique_ptr<Disk>> open_disk(const DiskImage::Options& options,
                                        DiskBackend backend = DiskBackend::automatic);

}  // namespace exo::vmm
