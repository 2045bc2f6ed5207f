#include "vmm/cli/boot_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "vmm/cli/kernel_image.h"
#include "vmm/cli/size.h"

namespace exo::vmm {

Result<BootFile> BootFile::open(const std::string& path, std::string what, std::uint64_t memory,
                                const char* hint) {
    BootFile opened;
    opened.file_ = FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened.file_) return fail_errno(what, errno, hint);
    struct stat status{};
    if (::fstat(opened.file_.get(), &status) != 0) return fail_errno(what, errno);
    if (!S_ISREG(status.st_mode)) return fail(what, "it is not a file", hint);
    if (static_cast<std::uint64_t>(status.st_size) > memory / 2)
        return fail(what,
                    fmt::format("its {} bytes do not fit into {} of guest memory", status.st_size,
                                format_size(memory)),
                    "Give a larger --memory.");
    opened.what_ = std::move(what);
    opened.size_ = static_cast<std::size_t>(status.st_size);
    if (const auto loaded = opened.load(); !loaded) return std::unexpected(loaded.error());
    return opened;
}

Result<BootFile> BootFile::open_kernel(const std::string& path, std::uint64_t memory) {
    return open(path, fmt::format("cannot boot {}", path), memory, give_an_efi_application);
}

Result<BootFile> BootFile::open_initrd(const std::string& path, std::uint64_t memory) {
    return open(path, fmt::format("cannot use {} as the initial RAM disk", path), memory,
                "Give the file that the kernel's package or mkinitramfs made.");
}

Result<void> BootFile::load() {
    if (bytes_.size() == size_) return {};
    std::vector<std::byte> read(size_);
    for (std::size_t done = 0; done < size_;) {
        const ssize_t got = ::pread(file_.get(), read.data() + done, size_ - done, static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(what_, errno);
        if (got == 0) return fail(what_, "it has become shorter since it was opened");
        done += static_cast<std::size_t>(got);
    }
    bytes_ = std::move(read);
    return {};
}

}  // namespace exo::vmm
