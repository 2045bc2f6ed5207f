#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "vmm/storage/disk.h"
#include "vmm/storage/disk_image.h"

namespace exo::vmm {

enum class DiskBackend : std::uint8_t {
    automatic,  ///< io_uring, or threads where the host refuses it
    io_uring,
    threads,
};

struct DiskSource {
    std::string path;  ///< of a file or block device, or the URI of a network disk
    bool read_only = false;
    bool direct = false;                                ///< past the host's page cache; not of a network disk
    std::function<void(const std::string&)> warn = {};  ///< of what happens to it later; from any thread
};

/// Whether `path` is the URI of an NBD export (nbd:, nbds:, with +unix or +vsock).
bool is_network_disk(std::string_view path);

/// Opens and locks an image and puts a back-end on it, or connects to a server.
Result<std::unique_ptr<Disk>> open_disk(const DiskSource& source,
                                        DiskBackend backend = DiskBackend::automatic);

}  // namespace exo::vmm
