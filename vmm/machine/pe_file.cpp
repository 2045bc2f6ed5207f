#include "vmm/machine/pe_file.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "vmm/base/byte_view.h"

namespace exo::vmm {
namespace {

constexpr std::uint64_t header_pointer = 0x3c;
constexpr std::uint64_t optional_header = 24;  // from "PE\0\0"

}  // namespace

std::optional<PeFile> PeFile::parse(std::span<const std::byte> file) {
    const auto dos = value_at<std::array<char, 2>>(file, 0);
    const auto offset = value_at<std::uint32_t>(file, header_pointer);
    if (!dos || !offset || (*dos)[0] != 'M' || (*dos)[1] != 'Z') return std::nullopt;
    const auto header = value_at<Header>(file, *offset);
    if (!header || std::memcmp(header->signature, "PE\0\0", 4) != 0) return std::nullopt;
    return PeFile(file, *offset, *header);
}

std::optional<PeFile::Section> PeFile::section_header(std::uint32_t index) const {
    const std::uint64_t table =
        std::uint64_t{header_offset_} + optional_header + header_.optional_header_size;
    return value_at<Section>(file_, table + std::uint64_t{index} * sizeof(Section));
}

std::optional<std::span<const std::byte>> PeFile::section(std::string_view name) const {
    std::array<char, sizeof(Section::name)> wanted{};
    std::ranges::copy(name.substr(0, wanted.size()), wanted.begin());
    for (std::uint32_t i = 0; i < header_.section_count; ++i) {
        const auto section = section_header(i);
        if (!section) return std::nullopt;
        if (std::ranges::equal(section->name, wanted))
            return bytes_at(file_, section->raw_offset, std::min(section->raw_size, section->virtual_size));
    }
    return std::nullopt;
}

bool PeFile::is_whole() const {
    for (std::uint32_t i = 0; i < header_.section_count; ++i) {
        const auto section = section_header(i);
        if (!section || !bytes_at(file_, section->raw_offset, section->raw_size)) return false;
    }
    return true;
}

}  // namespace exo::vmm
