#include "vmm/cli/kernel_image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "vmm/base/file_descriptor.h"
#include "vmm/cli/size.h"
#include "vmm/machine/pe_file.h"

namespace exo::vmm {
namespace {

constexpr char give_efi[] = "Give the guest as one EFI application, such as build/release/guest/exo.efi.";

bool starts_with(std::span<const std::byte> bytes, std::string_view magic) {
    return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

}  // namespace

Result<void> check_efi_application(std::span<const std::byte> image, const std::string& name) {
    const std::string what = fmt::format("cannot boot {}", name);
    if (image.empty()) return fail(what, "the file is empty", give_efi);
    const auto pe = PeFile::parse(image);
    if (!pe)
        return fail(what,
                    starts_with(image,
                                "\x7f"
                                "ELF")
                        ? "it is an ELF file, not a PE file"
                        : "it is not a PE file",
                    give_efi);
    if (pe->machine() != PeFile::machine_x86_64 || pe->magic() != PeFile::magic_pe32_plus)
        return fail(what, "it is a PE file for another processor, not for x86_64", give_efi);
    if (pe->subsystem() != PeFile::subsystem_efi_application)
        return fail(what, "it is a PE file, but not an EFI application", give_efi);
    if (!pe->is_whole()) return fail(what, "it ends in the middle of a section: it was cut off", give_efi);
    return {};
}

namespace {

Result<std::vector<std::byte>> read_whole(const std::string& path, const std::string& what,
                                          std::uint64_t memory, const char* hint) {
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return fail_errno(what, errno, hint);
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return fail_errno(what, errno);
    if (!S_ISREG(status.st_mode)) return fail(what, "it is not a file", hint);
    if (static_cast<std::uint64_t>(status.st_size) > memory / 2)
        return fail(what,
                    fmt::format("its {} bytes do not fit into {} of guest memory", status.st_size,
                                format_size(memory)),
                    "Give a larger --memory.");
    std::vector<std::byte> image(static_cast<std::size_t>(status.st_size));
    for (std::size_t done = 0; done < image.size();) {
        const ssize_t got = ::read(file.get(), image.data() + done, image.size() - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(what, errno);
        if (got == 0) return fail(what, "it shrank while it was read");
        done += static_cast<std::size_t>(got);
    }
    return image;
}

}  // namespace

Result<std::vector<std::byte>> load_kernel(const std::string& path, std::uint64_t memory) {
    return read_whole(path, fmt::format("cannot boot {}", path), memory, give_efi);
}

Result<std::vector<std::byte>> load_initrd(const std::string& path, std::uint64_t memory) {
    return read_whole(path, fmt::format("cannot use {} as the initial RAM disk", path), memory,
                      "Give the file that the kernel's package or mkinitramfs made.");
}

}  // namespace exo::vmm
