#pragma once

#include <elf.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

/// Kernel files made by hand, whole and small.
namespace exo::vmm::kernel_files {

using Bytes = std::vector<std::byte>;

template <typename T>
void put(Bytes& bytes, std::size_t offset, const T& value) {
    if (bytes.size() < offset + sizeof(value)) bytes.resize(offset + sizeof(value));
    std::memcpy(bytes.data() + offset, &value, sizeof(value));
}

inline constexpr std::size_t elf_segment_offset = 0x200;
inline constexpr std::uint64_t elf_address = 0x20'0000;
inline constexpr std::uint64_t elf_entry = elf_address + 0x10;
inline constexpr std::size_t elf_note_offset = 0x100;
inline constexpr std::size_t elf_segment_header = sizeof(Elf64_Ehdr);
inline constexpr std::size_t elf_note_header = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
inline constexpr std::string_view elf_content = "the kernel's code, and then zeros";

/// One segment of 8 KiB at 2 MiB, of which a part is in the file, and the note.
inline Bytes elf_kernel() {
    Bytes file;
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_EXEC;
    header.e_machine = EM_X86_64;
    header.e_phoff = sizeof(header);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 2;
    put(file, 0, header);
    Elf64_Phdr load{};
    load.p_type = PT_LOAD;
    load.p_offset = elf_segment_offset;
    load.p_vaddr = 0xffff'ffff'8000'0000;
    load.p_paddr = elf_address;
    load.p_filesz = elf_content.size();
    load.p_memsz = 8192;
    put(file, elf_segment_header, load);
    Elf64_Phdr note{};
    note.p_type = PT_NOTE;
    note.p_offset = elf_note_offset;
    note.p_filesz = 2 * sizeof(Elf64_Nhdr) + 4 + 4 + 4 + 8;
    put(file, elf_note_header, note);
    std::size_t at = elf_note_offset;
    put(file, at, Elf64_Nhdr{4, 4, 1});  // another note before it
    put(file, at + 12, std::array<char, 8>{'G', 'N', 'U', 0, 1, 2, 3, 4});
    at += 20;
    put(file, at, Elf64_Nhdr{4, 8, 18});
    put(file, at + 12, std::array<char, 4>{'X', 'e', 'n', 0});
    put(file, at + 16, elf_entry);
    for (std::size_t i = 0; i < elf_content.size(); ++i) put(file, elf_segment_offset + i, elf_content[i]);
    return file;
}

/// A PE file with `content` as the section `.kernel`.
inline constexpr std::size_t pe_kernel_section = 0x90;  ///< its header
inline Bytes pe_with_kernel(const Bytes& content) {
    constexpr std::size_t pe = 0x40;
    constexpr std::size_t sections = pe + 24 + 16;
    constexpr std::uint32_t raw = 0x200;
    Bytes file;
    put(file, 0, std::array<char, 2>{'M', 'Z'});
    put(file, 0x3c, std::uint32_t{pe});
    put(file, pe, std::array<char, 4>{'P', 'E', 0, 0});
    put(file, pe + 6, std::uint16_t{2});
    put(file, pe + 20, std::uint16_t{16});
    put(file, sections, std::array<char, 8>{'.', 't', 'e', 'x', 't', 0, 0, 0});
    put(file, pe_kernel_section, std::array<char, 8>{'.', 'k', 'e', 'r', 'n', 'e', 'l', 0});
    put(file, pe_kernel_section + 8, static_cast<std::uint32_t>(content.size()));
    put(file, pe_kernel_section + 16, static_cast<std::uint32_t>(content.size() + 100));  // padded
    put(file, pe_kernel_section + 20, raw);
    file.resize(raw);
    file.insert(file.end(), content.begin(), content.end());
    file.resize(file.size() + 100);
    return file;
}

inline constexpr std::string_view linux_payload = "the protected-mode kernel";

/// A bzImage of protocol 2.15, one setup sector.
inline Bytes bzimage() {
    Bytes file(1024);
    put(file, 0x1f1, std::uint8_t{1});
    put(file, 0x1fe, std::uint16_t{0xaa55});
    put(file, 0x201, std::uint8_t{0x6a});  // the header ends at 0x26c
    put(file, 0x202, std::array<char, 4>{'H', 'd', 'r', 'S'});
    put(file, 0x206, std::uint16_t{0x20f});
    put(file, 0x22c, std::uint32_t{0x7fff'ffff});
    put(file, 0x230, std::uint32_t{0x20'0000});
    put(file, 0x234, std::uint8_t{1});
    put(file, 0x236, std::uint16_t{3});
    put(file, 0x238, std::uint32_t{2047});
    put(file, 0x258, std::uint64_t{0x100'0000});
    put(file, 0x260, std::uint32_t{0x10'0000});
    for (std::size_t i = 0; i < linux_payload.size(); ++i) put(file, 1024 + i, linux_payload[i]);
    return file;
}

}  // namespace exo::vmm::kernel_files
