#include "vmm/storage/disk_image.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace exo::vmm {
namespace {

constexpr std::uint32_t sector = 512;

std::string name_of(const DiskImage::Options& options) {
    return "disk '" + options.path + "'";
}

std::unexpected<Error> explain_open(const DiskImage::Options& options, int number) {
    const std::string what = name_of(options);
    switch (number) {
        case ENOENT:
            return fail(what, "there is no such file", "check the path");
        case EISDIR:
            return fail(what, "it is a directory", "give a disk image or a block device");
        case EROFS:
            return fail(what, "its file system is mounted read-only",
                        "open the disk read-only, or copy the image");
        case EACCES:
        case EPERM:
            if (!options.read_only && ::faccessat(AT_FDCWD, options.path.c_str(), R_OK, AT_EACCESS) == 0)
                return fail(what, "no permission to write to it",
                            "open the disk read-only, or change its permissions");
            return fail(what, "permission denied",
                        "change its permissions, or run as a user who may read it");
        case EBUSY:
            return fail(what, "the host itself uses it (mounted, or part of a volume)",
                        "unmount it first, or open the disk read-only");
        case EINVAL:
            if (options.direct) return fail(what, "its file system refuses direct I/O", "leave out `direct`");
            break;
        default:
            break;
    }
    return fail_errno(what, number);
}

/// O_NONBLOCK only for the open itself, so that a FIFO does not hold us; it means nothing for disks, and
/// io_uring would take it for a wish not to wait. O_EXCL makes the kernel refuse a block device it uses.
Result<FileDescriptor> open_file(const DiskImage::Options& options, bool block_device) {
    int flags = O_CLOEXEC | O_NONBLOCK | (options.read_only ? O_RDONLY : O_RDWR);
    if (options.direct) flags |= O_DIRECT;
    if (block_device && !options.read_only) flags |= O_EXCL;
    FileDescriptor fd(::open(options.path.c_str(), flags));
    if (!fd) return explain_open(options, errno);
    const int now = ::fcntl(fd.get(), F_GETFL);
    if (now < 0 || ::fcntl(fd.get(), F_SETFL, now & ~O_NONBLOCK) < 0)
        return fail_errno(name_of(options), errno);
    return fd;
}

/// Open-file-description locks: they go with the descriptor, and other programs that lock images (QEMU) see
/// them. A file system without locks is used unlocked.
Result<void> lock(const DiskImage::Options& options, int fd) {
    struct flock whole{};
    whole.l_type = options.read_only ? F_RDLCK : F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (::fcntl(fd, F_OFD_SETLK, &whole) == 0) return {};
    if (errno == EAGAIN || errno == EACCES)
        return fail(name_of(options), "another process has it open",
                    options.read_only ? "end the other process, which writes to it"
                                      : "end the other process, or open the disk read-only in both");
    if (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) return {};
    return fail_errno(name_of(options), errno);
}

Result<void> measure_block_device(const DiskImage::Options& options, int fd, DiskGeometry& geometry) {
    int logical = 0;
    unsigned physical = 0;
    int read_only = 0;
    if (::ioctl(fd, BLKGETSIZE64, &geometry.size) != 0) return fail_errno(name_of(options), errno);
    if (::ioctl(fd, BLKSSZGET, &logical) == 0 && logical > 0)
        geometry.logical_block = static_cast<std::uint32_t>(logical);
    if (::ioctl(fd, BLKPBSZGET, &physical) == 0) geometry.physical_block = physical;
    if (!geometry.read_only && ::ioctl(fd, BLKROGET, &read_only) == 0 && read_only != 0)
        return fail(name_of(options), "the block device is read-only", "open the disk read-only");
    return {};
}

/// The smallest direct read that this file takes, by trying; 0 when it takes none.
std::uint32_t smallest_direct_read(int fd) {
    constexpr std::uint32_t largest = 4096;
    alignas(largest) std::byte buffer[largest];
    for (std::uint32_t size = sector; size <= largest; size *= 2) {
        if (::pread(fd, buffer, size, 0) >= 0) return size;
    }
    return 0;
}

/// What the kernel says about direct I/O on this file (since Linux 6.1), or else what proves to work.
Result<DirectAlignment> direct_alignment(const DiskImage::Options& options, int fd) {
    DirectAlignment alignment;
#ifdef STATX_DIOALIGN
    struct statx extended{};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &extended) == 0 &&
        (extended.stx_mask & STATX_DIOALIGN) != 0) {
        alignment = {extended.stx_dio_mem_align, extended.stx_dio_offset_align};
    } else
#endif
    {
        alignment = {4096, smallest_direct_read(fd)};
    }
    if (alignment.memory == 0 || alignment.disk == 0) return explain_open(options, EINVAL);
    return alignment;
}

Result<void> check_size(const DiskImage::Options& options, std::uint64_t size) {
    if (size == 0) return fail(name_of(options), "it is empty", "give it a size: truncate -s 64M FILE");
    if (size % sector == 0) return {};
    return fail(name_of(options), fmt::format("its size, {} bytes, is no multiple of {}", size, sector),
                fmt::format("is it cut off? To fill it up: truncate -s %{} FILE", sector));
}

}  // namespace

Result<DiskImage> DiskImage::open(const Options& options) {
    struct stat status{};
    if (::stat(options.path.c_str(), &status) != 0) return explain_open(options, errno);
    if (S_ISDIR(status.st_mode)) return explain_open(options, EISDIR);
    auto fd = open_file(options, S_ISBLK(status.st_mode));
    if (!fd) return std::unexpected(fd.error());

    if (::fstat(fd->get(), &status) != 0) return fail_errno(name_of(options), errno);
    const bool block_device = S_ISBLK(status.st_mode);
    if (!block_device && !S_ISREG(status.st_mode))
        return fail(name_of(options), "it is neither a file nor a block device", "give a disk image");
    if (auto locked = lock(options, fd->get()); !locked) return std::unexpected(locked.error());

    DiskImage image;
    image.fd_ = std::move(*fd);
    image.direct_ = options.direct;
    image.flushes_ = FlushGuard<DiskCompletion>(options.path, options.warn);
    image.name_ = options.path;
    image.warn_ = options.warn;
    image.geometry_.read_only = options.read_only;
    image.geometry_.physical_block = 4096;
    image.geometry_.size = static_cast<std::uint64_t>(status.st_size);
    if (block_device) {
        auto measured = measure_block_device(options, image.fd(), image.geometry_);
        if (!measured) return std::unexpected(measured.error());
    }
    if (auto sized = check_size(options, image.geometry_.size); !sized) return std::unexpected(sized.error());
    if (options.direct) {
        auto alignment = direct_alignment(options, image.fd());
        if (!alignment) return std::unexpected(alignment.error());
        image.alignment_ = *alignment;
        image.geometry_.logical_block = std::max(image.geometry_.logical_block, alignment->disk);
    }
    DiskGeometry& geometry = image.geometry_;
    geometry.physical_block = std::max(geometry.physical_block, geometry.logical_block);
    if (geometry.size % geometry.logical_block != 0)
        return fail(
            name_of(options),
            fmt::format("its size, {} bytes, is no multiple of the {} bytes that direct I/O needs here",
                        geometry.size, geometry.logical_block),
            "leave out `direct`");
    return image;
}

void DiskImage::warn_of_full_storage() {
    if (const auto warn = std::exchange(warn_, {}))
        warn(fmt::format("disk '{}': the host's storage is full, and what the guest writes fails: make room",
                         name_));
}

}  // namespace exo::vmm
