#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace exo::vmm {

/// A PE file of 64 bits as far as it says what it is (Microsoft, PE format: COFF file header, optional header
/// PE32+, section table). Of untrusted bytes, which outlive it.
class PeFile {
  public:
    static constexpr std::uint16_t machine_x86_64 = 0x8664;
    static constexpr std::uint16_t magic_pe32_plus = 0x20b;
    static constexpr std::uint16_t subsystem_efi_application = 10;

    /// Nothing when the bytes do not begin with the headers of a PE file.
    static std::optional<PeFile> parse(std::span<const std::byte> file);

    std::uint16_t machine() const { return header_.machine; }
    std::uint16_t magic() const { return header_.magic; }
    std::uint16_t subsystem() const { return header_.subsystem; }

    /// The bytes of a section, as far as it says that they count; nothing when there is no such section
    /// wholly in the file. `name` has 8 characters at most.
    std::optional<std::span<const std::byte>> section(std::string_view name) const;

    /// Whether the section table and all that it names lie in the file: one that was cut off is not whole.
    bool is_whole() const;

  private:
    /// From "PE\0\0" on.
    struct Header {
        char signature[4];
        std::uint16_t machine;
        std::uint16_t section_count;
        std::uint32_t of_symbols[3];
        std::uint16_t optional_header_size;
        std::uint16_t characteristics;
        std::uint16_t magic;
        std::uint16_t of_the_image[33];
        std::uint16_t subsystem;
    };
    static_assert(offsetof(Header, magic) == 24 && offsetof(Header, subsystem) == 24 + 68);

    struct Section {
        char name[8];  ///< padded with NULs
        std::uint32_t virtual_size;
        std::uint32_t virtual_address;
        std::uint32_t raw_size;
        std::uint32_t raw_offset;
        std::uint32_t unused[4];
    };
    static_assert(sizeof(Section) == 40);

    PeFile(std::span<const std::byte> file, std::uint32_t header_offset, const Header& header)
        : file_(file), header_offset_(header_offset), header_(header) {}

    std::optional<Section> section_header(std::uint32_t index) const;

    std::span<const std::byte> file_;
    std::uint32_t header_offset_;
    Header header_;
};

}  // namespace exo::vmm
