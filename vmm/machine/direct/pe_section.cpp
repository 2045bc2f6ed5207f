#include "vmm/machine/direct/pe_section.h"

#include <algorithm>
#include <array>

#include "vmm/base/byte_view.h"

namespace exo::vmm {
namespace {

constexpr std::size_t header_pointer = 0x3c;
constexpr std::size_t section_count = 6;  // from "PE\0\0"
constexpr std::size_t optional_header_size = 20;
constexpr std::size_t optional_header = 24;

struct SectionHeader {
    std::array<char, 8> name;  ///< padded with NULs
    std::uint32_t virtual_size;
    std::uint32_t virtual_address;
    std::uint32_t raw_size;
    std::uint32_t raw_offset;
    std::uint32_t unused[4];
};
static_assert(sizeof(SectionHeader) == 40);

}  // namespace

std::optional<std::span<const std::byte>> pe_section(std::span<const std::byte> file, std::string_view name) {
    const auto dos = value_at<std::array<char, 2>>(file, 0);
    const auto pe = value_at<std::uint32_t>(file, header_pointer);
    if (!dos || !pe || (*dos)[0] != 'M' || (*dos)[1] != 'Z') return std::nullopt;
    const auto header = bytes_at(file, *pe, optional_header);
    if (!header || std::memcmp(header->data(), "PE\0\0", 4) != 0) return std::nullopt;
    std::array<char, 8> wanted{};
    std::ranges::copy(name.substr(0, wanted.size()), wanted.begin());
    const std::uint64_t table =
        std::uint64_t{*pe} + optional_header + *value_at<std::uint16_t>(*header, optional_header_size);
    for (std::uint64_t i = 0; i < *value_at<std::uint16_t>(*header, section_count); ++i) {
        const auto section = value_at<SectionHeader>(file, table + i * sizeof(SectionHeader));
        if (!section) return std::nullopt;
        if (section->name == wanted)
            return bytes_at(file, section->raw_offset, std::min(section->raw_size, section->virtual_size));
    }
    return std::nullopt;
}

}  // namespace exo::vmm
