#include "vmm/cli/kernel_image.h"

#include <fmt/format.h>

#include <cstring>
#include <string_view>

#include "vmm/machine/pe_file.h"

namespace exo::vmm {
namespace {

bool starts_with(std::span<const std::byte> bytes, std::string_view magic) {
    return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

}  // namespace

Result<void> check_efi_application(std::span<const std::byte> image, const std::string& name) {
    const std::string what = fmt::format("cannot boot {}", name);
    if (image.empty()) return fail(what, "the file is empty", give_an_efi_application);
    const auto pe = PeFile::parse(image);
    if (!pe)
        return fail(what,
                    starts_with(image,
                                "\x7f"
                                "ELF")
                        ? "it is an ELF file, not a PE file"
                        : "it is not a PE file",
                    give_an_efi_application);
    if (pe->machine() != PeFile::machine_x86_64 || pe->magic() != PeFile::magic_pe32_plus)
        return fail(what, "it is a PE file for another processor, not for x86_64", give_an_efi_application);
    if (pe->subsystem() != PeFile::subsystem_efi_application)
        return fail(what, "it is a PE file, but not an EFI application", give_an_efi_application);
    if (!pe->is_whole())
        return fail(what, "it ends in the middle of a section: it was cut off", give_an_efi_application);
    return {};
}

}  // namespace exo::vmm
