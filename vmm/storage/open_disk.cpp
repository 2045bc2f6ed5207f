#include "vmm/storage/open_disk.h"

#include "vmm/storage/nbd_disk.h"
#include "vmm/storage/thread_disk.h"
#include "vmm/storage/uring_disk.h"

namespace exo::vmm {

bool is_network_disk(std::string_view path) {
    const std::string_view scheme = path.substr(0, path.find("://"));
    return scheme.size() < path.size() &&
           (scheme == "nbd" || scheme == "nbds" || scheme.starts_with("nbd+") || scheme.starts_with("nbds+"));
}

Result<std::unique_ptr<Disk>> open_disk(const DiskSource& source, DiskBackend backend) {
    if (is_network_disk(source.path)) {
        if (source.direct)
            return fail("disk '" + source.path + "'", "`direct` is of files, not of network disks",
                        "leave it out");
        auto disk = NbdDisk::create({.uri = source.path, .read_only = source.read_only, .warn = source.warn});
        if (!disk) return std::unexpected(disk.error());
        return std::move(*disk);
    }
    auto image = DiskImage::open(
        {.path = source.path, .read_only = source.read_only, .direct = source.direct, .warn = source.warn});
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
