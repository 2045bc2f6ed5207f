#include "vmm/storage/open_disk.h"

#include "vmm/storage/thread_disk.h"
#include "vmm/storage/uring_disk.h"

namespace exo::vmm {

Result<std::unique_ptr<Disk>> open_disk(const DiskImage::Options& options, DiskBackend backend) {
    auto image = DiskImage::open(options);
    if (!image) return std::unexpected(image.error());
    if (backend != DiskBackend::threads) {
        auto disk = UringDisk::create(*image);
        if (disk) return std::move(*disk);
        if (backend == DiskBackend::io_uring) return std::unexpected(disk.error());
    }
    auto disk = ThreadDisk::create(std::move(*image));
    if (!disk) return std::unexpected(disk.error());
    return std::move(*disk);
}

}  // namespace exo::vmm
