#include "vmm/machine/direct/direct_kernel.h"

#include <string_view>

#include "vmm/machine/direct/elf_kernel.h"
#include "vmm/machine/direct/linux_kernel.h"
#include "vmm/machine/direct/pe_section.h"

namespace exo::vmm {
namespace {

constexpr std::string_view kernel_section = ".kernel";
constexpr char give_a_kernel[] =
    "Give exo.efi, an ELF file with a PVH entry, or a Linux bzImage; --boot uefi starts any EFI application.";

std::expected<DirectKernel, std::string> parse(std::span<const std::byte> file) {
    // A bzImage with an EFI stub is a PE file too.
    if (is_bzimage(file)) return parse_linux_kernel(file);
    if (const auto inside = pe_section(file, kernel_section)) {
        auto kernel = parse_elf_kernel(*inside);
        if (kernel) kernel->symbols = *inside;
        return kernel;
    }
    constexpr std::string_view mz = "MZ";
    if (file.size() >= mz.size() && std::memcmp(file.data(), mz.data(), mz.size()) == 0)
        return std::unexpected("it is a PE file without a kernel in a section '.kernel'");
    return parse_elf_kernel(file);
}

}  // namespace

Result<DirectKernel> parse_direct_kernel(std::span<const std::byte> file, const std::string& name) {
    auto kernel = parse(file);
    if (!kernel) return fail(fmt::format("cannot start {} directly", name), kernel.error(), give_a_kernel);
    return std::move(*kernel);
}

}  // namespace exo::vmm
