#include "vmm/machine/direct/direct_kernel.h"

#include <string_view>

#include "vmm/machine/direct/elf_kernel.h"
#include "vmm/machine/direct/linux_kernel.h"
#include "vmm/machine/pe_file.h"

namespace exo::vmm {
namespace {

constexpr std::string_view kernel_section = ".kernel";
constexpr char give_a_kernel[] =
    "Give exo.efi, an ELF file with a PVH entry, or a Linux bzImage; --boot uefi starts any EFI application.";

std::expected<DirectKernel, std::string> parse(std::span<const std::byte> file) {
    // A bzImage with an EFI stub is a PE file too.
    if (is_bzimage(file)) return parse_linux_kernel(file);
    const auto pe = PeFile::parse(file);
    if (!pe) return file.empty() ? std::unexpected("the file is empty") : parse_elf_kernel(file);
    const auto inside = pe->section(kernel_section);
    if (!inside)
        return std::unexpected(pe->is_whole() ? "it is a PE file without a kernel in a section '.kernel'"
                                              : "it ends in the middle of a section: it was cut off");
    auto kernel = parse_elf_kernel(*inside);
    if (kernel) kernel->symbols = *inside;
    return kernel;
}

}  // namespace

Result<DirectKernel> parse_direct_kernel(std::span<const std::byte> file, const std::string& name) {
    auto kernel = parse(file);
    if (!kernel) return fail(fmt::format("cannot start {} directly", name), kernel.error(), give_a_kernel);
    return std::move(*kernel);
}

}  // namespace exo::vmm
