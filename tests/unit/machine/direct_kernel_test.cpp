#include "vmm/machine/direct/direct_kernel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/machine/kernel_files.h"

namespace exo::vmm {
namespace {

using kernel_files::Bytes;
using testing::HasSubstr;

PvhKernel pvh(const Bytes& file) {
    auto kernel = parse_direct_kernel(file, "kernel");
    EXPECT_TRUE(kernel) << kernel.error().message();
    return kernel ? std::get<PvhKernel>(*kernel) : PvhKernel{};
}

void expect_refused(const Bytes& file, const char* reason) {
    const auto kernel = parse_direct_kernel(file, "kernel");
    ASSERT_FALSE(kernel) << reason;
    EXPECT_THAT(kernel.error().message(), HasSubstr(reason));
}

TEST(DirectKernelTest, AnElfFileWithAPvhEntryIsUnderstood) {
    const Bytes file = kernel_files::elf_kernel();
    const PvhKernel kernel = pvh(file);
    EXPECT_EQ(kernel.entry.value, kernel_files::elf_entry);
    ASSERT_EQ(kernel.segments.size(), 1u);
    EXPECT_EQ(kernel.segments[0].start.value, kernel_files::elf_address);
    EXPECT_EQ(kernel.segments[0].memory_size, 8192u);
    EXPECT_EQ(kernel.segments[0].file.data(), file.data() + kernel_files::elf_segment_offset);
    EXPECT_EQ(kernel.segments[0].file.size(), kernel_files::elf_content.size());
    EXPECT_TRUE(kernel.symbols.empty());
}

TEST(DirectKernelTest, AnEntryOf32BitsCountsToo) {
    Bytes file = kernel_files::elf_kernel();
    kernel_files::put(file, kernel_files::elf_note_offset + 20 + 4, std::uint32_t{4});
    EXPECT_EQ(pvh(file).entry.value, kernel_files::elf_entry);
}

TEST(DirectKernelTest, TheElfFileInsideAPeFileIsFound) {
    const Bytes elf = kernel_files::elf_kernel();
    const Bytes file = kernel_files::pe_with_kernel(elf);
    const PvhKernel kernel = pvh(file);
    EXPECT_EQ(kernel.entry.value, kernel_files::elf_entry);
    EXPECT_EQ(kernel.symbols.size(), elf.size()) << "without the section's padding";
}

TEST(DirectKernelTest, ABzImageIsUnderstood) {
    const Bytes file = kernel_files::bzimage();
    const auto parsed = parse_direct_kernel(file, "vmlinuz");
    ASSERT_TRUE(parsed) << parsed.error().message();
    const auto& kernel = std::get<LinuxKernel>(*parsed);
    EXPECT_EQ(kernel.payload.size(), kernel_files::linux_payload.size());
    EXPECT_EQ(kernel.setup_header.size(), 0x26cu - 0x1f1u);
    EXPECT_EQ(kernel.preferred_address, 0x100'0000u);
    EXPECT_EQ(kernel.memory_size, 0x10'0000u);
    EXPECT_EQ(kernel.initrd_last, 0x7fff'ffffu);
    EXPECT_EQ(kernel.command_line_size, 2047u);
    EXPECT_TRUE(kernel.relocatable);
}

TEST(DirectKernelTest, WhatIsNoKernelIsRefused) {
    expect_refused({}, "the file is empty");
    expect_refused(Bytes(4096), "it is not an ELF file for x86_64");
    expect_refused(kernel_files::pe_with_kernel({}), "it is not an ELF file for x86_64");
    Bytes other = kernel_files::elf_kernel();
    kernel_files::put(other, offsetof(Elf64_Ehdr, e_machine), std::uint16_t{EM_AARCH64});
    expect_refused(other, "it is not an ELF file for x86_64");
    Bytes pe = kernel_files::pe_with_kernel(kernel_files::elf_kernel());
    kernel_files::put(pe, kernel_files::pe_kernel_section, std::array<char, 8>{'.', 'd', 'a', 't', 'a'});
    expect_refused(pe, "without a kernel in a section '.kernel'");
    pe.pop_back();
    expect_refused(pe, "it was cut off");
}

TEST(DirectKernelTest, AnElfFileThatLiesIsRefused) {
    using kernel_files::elf_segment_header;
    const auto with = [](std::size_t offset, auto value) {
        Bytes file = kernel_files::elf_kernel();
        kernel_files::put(file, offset, value);
        return file;
    };
    expect_refused(with(offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX - 20), "program headers lie outside");
    expect_refused(with(offsetof(Elf64_Ehdr, e_phnum), std::uint16_t{0xffff}), "program headers lie outside");
    expect_refused(with(offsetof(Elf64_Ehdr, e_phnum), std::uint16_t{0}), "nothing to load");
    expect_refused(with(offsetof(Elf64_Ehdr, e_phentsize), std::uint16_t{1}), "unknown size");
    expect_refused(with(elf_segment_header + offsetof(Elf64_Phdr, p_offset), UINT64_MAX - 1),
                   "a segment lies outside");
    expect_refused(with(elf_segment_header + offsetof(Elf64_Phdr, p_filesz), std::uint64_t{8193}),
                   "a segment lies outside");
    expect_refused(with(elf_segment_header + offsetof(Elf64_Phdr, p_memsz), std::uint64_t{1}),
                   "a segment lies outside");
    expect_refused(with(elf_segment_header + offsetof(Elf64_Phdr, p_paddr), UINT64_MAX - 4096),
                   "an address that no machine has");
    expect_refused(with(kernel_files::elf_note_offset + 20 + 8, std::uint32_t{17}), "without a PVH entry");
    expect_refused(with(kernel_files::elf_note_offset, UINT32_MAX), "without a PVH entry");
    expect_refused(with(kernel_files::elf_note_offset + 36, std::uint64_t{0x1000}), "entry lies outside");
    // The second header turned into a copy of the first.
    Bytes twice = kernel_files::elf_kernel();
    std::memcpy(twice.data() + kernel_files::elf_note_header, twice.data() + elf_segment_header,
                sizeof(Elf64_Phdr));
    expect_refused(twice, "without a PVH entry");
}

TEST(DirectKernelTest, OverlappingSegmentsAreRefused) {
    Bytes file = kernel_files::elf_kernel();
    const std::size_t third = kernel_files::elf_note_header + sizeof(Elf64_Phdr);
    ASSERT_LE(third + sizeof(Elf64_Phdr), kernel_files::elf_note_offset);
    std::memcpy(file.data() + third, file.data() + kernel_files::elf_segment_header, sizeof(Elf64_Phdr));
    kernel_files::put(file, third + offsetof(Elf64_Phdr, p_paddr), kernel_files::elf_address + 4096);
    kernel_files::put(file, offsetof(Elf64_Ehdr, e_phnum), std::uint16_t{3});
    expect_refused(file, "segments overlap");
}

TEST(DirectKernelTest, ALinuxKernelThatCannotStartIn64BitsIsRefused) {
    const auto with = [](std::size_t offset, auto value) {
        Bytes file = kernel_files::bzimage();
        kernel_files::put(file, offset, value);
        return file;
    };
    expect_refused(with(0x206, std::uint16_t{0x20b}), "older than 3.8");
    expect_refused(with(0x201, std::uint8_t{0x40}), "older than 3.8");
    expect_refused(with(0x236, std::uint16_t{2}), "32-bit");
    expect_refused(with(0x1f1, std::uint8_t{0}), "ends after its header");
    expect_refused(with(0x1f1, std::uint8_t{255}), "ends after its header");
    expect_refused(with(0x230, std::uint32_t{0x30'0000}), "impossible alignment");
    Bytes cut = kernel_files::bzimage();
    cut.resize(0x250);
    expect_refused(cut, "ends inside its header");
}

}  // namespace
}  // namespace exo::vmm
