#include "firmware/flash_image.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <vector>

#include "firmware/volumes.h"
#include "vmm/base/file_descriptor.h"

namespace exo::firmware {
namespace {

/// Flash lies below 4 GiB and above the interrupt controllers at 0xFEE00000 and KVM's own pages.
constexpr std::size_t max_flash = std::size_t{16} << 20;

struct OpenFile {
    std::string name;
    vmm::FileDescriptor fd;
    std::size_t size = 0;
};

vmm::Result<OpenFile> open_file(const std::filesystem::path& path) {
    OpenFile file{path, vmm::FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), 0};
    const std::string what = fmt::format("firmware {} cannot be read", file.name);
    struct stat status{};
    if (!file.fd || ::fstat(file.fd.get(), &status) != 0) return vmm::fail_errno(what, errno);
    if (static_cast<std::uint64_t>(status.st_size) > max_flash)
        return vmm::fail(what, fmt::format("its {} bytes are more than a flash may have ({} MiB)",
                                           status.st_size, max_flash >> 20));
    file.size = static_cast<std::size_t>(status.st_size);
    return file;
}

vmm::Result<void> read_file(const OpenFile& file, std::span<std::byte> into) {
    std::size_t done = 0;
    while (done < into.size()) {
        const ssize_t got =
            ::pread(file.fd.get(), into.data() + done, into.size() - done, static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return vmm::fail_errno(fmt::format("firmware {} cannot be read", file.name), errno);
        if (got == 0)
            return vmm::fail(fmt::format("firmware {} cannot be read", file.name),
                             "it shrank while it was read");
        done += static_cast<std::size_t>(got);
    }
    return {};
}

vmm::Result<void> check(const OpenFile& variables, const OpenFile& code, const FlashImage& image) {
    const auto code_kind = inspect(image.code(), code.name);
    if (!code_kind) return std::unexpected(code_kind.error());
    const std::string what = fmt::format("firmware {} cannot be used", code.name);
    if (*code_kind == ImageKind::variables)
        return vmm::fail(what, "it is a variable store, not the code",
                         "Name the CODE file; its VARS are found.");
    if (*code_kind == ImageKind::combined && variables.size != 0)
        return vmm::fail(what, "it holds a variable store, and there is another one beside it");
    if (*code_kind == ImageKind::code && variables.size == 0)
        return vmm::fail(
            what, "its variable store is not there",
            "Put the VARS file of the same build beside it (OVMF_CODE_4M.fd has OVMF_VARS_4M.fd).");
    if (variables.size == 0) return {};
    const auto kind = inspect(image.variables(), variables.name);
    if (!kind) return std::unexpected(kind.error());
    if (*kind != ImageKind::variables)
        return vmm::fail(fmt::format("firmware {} cannot be used", variables.name),
                         "it is not a variable store");
    return {};
}

}  // namespace

vmm::Result<FlashImage> FlashImage::load(const Build& build) {
    auto code = open_file(build.code);
    if (!code) return std::unexpected(code.error());
    OpenFile variables;
    if (!build.variables.empty()) {
        auto opened = open_file(build.variables);
        if (!opened) return std::unexpected(opened.error());
        variables = std::move(*opened);
    }
    const std::size_t size = std::max<std::size_t>(variables.size + code->size, 1);
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return vmm::fail_errno("no memory for the firmware", errno);
    FlashImage image({static_cast<std::byte*>(memory), variables.size + code->size}, variables.size);
    if (auto done = read_file(variables, image.variables()); !done) return std::unexpected(done.error());
    if (auto done = read_file(*code, image.code()); !done) return std::unexpected(done.error());
    if (auto done = check(variables, *code, image); !done) return std::unexpected(done.error());
    ::mprotect(memory, size, PROT_READ);
    return image;
}

FlashImage::~FlashImage() {
    if (memory_.data() != nullptr) ::munmap(memory_.data(), std::max<std::size_t>(memory_.size(), 1));
}

}  // namespace exo::firmware
