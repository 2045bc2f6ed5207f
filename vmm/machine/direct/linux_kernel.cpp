#include "vmm/machine/direct/linux_kernel.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "vmm/base/byte_view.h"

namespace exo::vmm {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::size_t boot_flag = 0x1fe;
constexpr std::size_t magic = 0x202;
constexpr std::size_t version = 0x206;
constexpr std::size_t initrd_address_max = 0x22c;
constexpr std::size_t kernel_alignment = 0x230;
constexpr std::size_t relocatable_kernel = 0x234;
constexpr std::size_t load_flags_64 = 0x236;
constexpr std::size_t command_line_max = 0x238;
constexpr std::size_t preferred_address = 0x258;
constexpr std::size_t init_size = 0x260;

constexpr std::uint16_t boot_flag_value = 0xaa55;
constexpr std::uint16_t version_with_64_bit_entry = 0x20c;
constexpr std::uint16_t has_64_bit_entry = 1;
constexpr std::size_t sector = 512;
constexpr std::size_t default_setup_sectors = 4;

}  // namespace

bool is_bzimage(Bytes file) {
    const auto text = bytes_at(file, magic, 4);
    return text && std::memcmp(text->data(), "HdrS", 4) == 0 &&
           value_at<std::uint16_t>(file, boot_flag) == boot_flag_value;
}

std::expected<LinuxKernel, std::string> parse_linux_kernel(Bytes file) {
    if (!is_bzimage(file)) return std::unexpected("it is not a Linux bzImage");
    const std::size_t header_end = magic + *value_at<std::uint8_t>(file, linux_boot::header_end_byte);
    const auto header = bytes_at(file, 0, header_end);
    if (!header) return std::unexpected("it is a Linux kernel that ends inside its header");
    if (value_at<std::uint16_t>(*header, version).value_or(0) < version_with_64_bit_entry ||
        header_end < init_size + sizeof(std::uint32_t))
        return std::unexpected("it is a Linux kernel older than 3.8, without a 64-bit entry");
    if ((*value_at<std::uint16_t>(*header, load_flags_64) & has_64_bit_entry) == 0)
        return std::unexpected("it is a 32-bit Linux kernel, without a 64-bit entry");
    std::size_t sectors = *value_at<std::uint8_t>(*header, linux_boot::header_start);
    if (sectors == 0) sectors = default_setup_sectors;
    const std::size_t payload = (sectors + 1) * sector;
    if (payload >= file.size()) return std::unexpected("it is a Linux kernel that ends after its header");

    LinuxKernel kernel{};
    kernel.setup_header = header->subspan(linux_boot::header_start);
    kernel.setup_header = kernel.setup_header.first(
        std::min(kernel.setup_header.size(), linux_boot::header_limit - linux_boot::header_start));
    kernel.payload = file.subspan(payload);
    kernel.preferred_address = *value_at<std::uint64_t>(*header, preferred_address);
    kernel.memory_size =
        std::max<std::uint64_t>(*value_at<std::uint32_t>(*header, init_size), kernel.payload.size());
    kernel.alignment = std::max(*value_at<std::uint32_t>(*header, kernel_alignment), 1u);
    kernel.relocatable = *value_at<std::uint8_t>(*header, relocatable_kernel) != 0;
    kernel.initrd_last = *value_at<std::uint32_t>(*header, initrd_address_max);
    kernel.command_line_size = *value_at<std::uint32_t>(*header, command_line_max);
    if (!std::has_single_bit(kernel.alignment))
        return std::unexpected("it is a Linux kernel with an impossible alignment");
    return kernel;
}

}  // namespace exo::vmm
