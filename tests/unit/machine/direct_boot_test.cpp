#include "vmm/machine/direct/direct_boot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "shared/boot/pvh.h"
#include "tests/unit/machine/kernel_files.h"
#include "vmm/machine/e820.h"

namespace exo::vmm {
namespace {

namespace pvh = boot::pvh;
using kernel_files::Bytes;
using testing::HasSubstr;

constexpr std::uint64_t ram_size = 32 * layout::mib;

struct DirectBootTest : testing::Test {
    Bytes ram = Bytes(ram_size);
    GuestMemory memory{{{{0}, std::span(ram).first(layout::legacy_hole.start)},
                        {{layout::mib}, std::span(ram).subspan(layout::mib)}}};
    layout::RamSplit split{ram_size, 0};
    std::string command_line = "-- sum";
    Bytes initrd;

    Result<CpuStart> load(const Bytes& file) {
        const auto kernel = parse_direct_kernel(file, "kernel");
        EXPECT_TRUE(kernel);
        return load_directly({.kernel = *kernel,
                              .initrd = initrd,
                              .command_line = command_line,
                              .ram = split,
                              .acpi = acpi::build({2, layout::pci_windows(split, 40)})},
                             memory);
    }
    std::string text_at(std::uint64_t address, std::size_t size) const {
        return {reinterpret_cast<const char*>(ram.data() + address), size};
    }
    template <typename T>
    T at(std::uint64_t address) const {
        return memory.read<T>({address}).value();
    }
    void expect_rsdp(std::uint64_t address) const {
        EXPECT_EQ(text_at(address, 8), "RSD PTR ");
        const auto sum =
            std::accumulate(ram.begin() + static_cast<std::ptrdiff_t>(address),
                            ram.begin() + static_cast<std::ptrdiff_t>(address + 36), 0u,
                            [](unsigned s, std::byte b) { return s + std::to_integer<unsigned>(b); });
        EXPECT_EQ(sum % 256, 0u);
        const auto xsdt = at<std::uint64_t>(address + 24);
        EXPECT_EQ(text_at(xsdt, 4), "XSDT");
        EXPECT_EQ(text_at(at<std::uint64_t>(xsdt + 36), 4), "FACP");
    }
};

TEST_F(DirectBootTest, APvhKernelGetsItsStartInfo) {
    const auto start = load(kernel_files::elf_kernel());
    ASSERT_TRUE(start) << start.error().message();
    EXPECT_EQ(start->mode, CpuStart::Mode::protected_32);
    EXPECT_EQ(start->entry.value, kernel_files::elf_entry);
    EXPECT_EQ(text_at(kernel_files::elf_address, kernel_files::elf_content.size()),
              kernel_files::elf_content);

    const auto info = at<pvh::StartInfo>(start->rbx);
    EXPECT_EQ(info.magic, pvh::start_info_magic);
    EXPECT_EQ(info.version, 1u);
    EXPECT_EQ(text_at(info.command_line, command_line.size() + 1), std::string("-- sum\0", 7));
    EXPECT_EQ(info.module_count, 0u);
    expect_rsdp(info.rsdp);
    ASSERT_EQ(info.memory_map_count, 4u);
    const auto low = at<pvh::MemoryMapEntry>(info.memory_map);
    EXPECT_EQ(low.address, 0u);
    EXPECT_EQ(low.size, 640 * layout::kib);
    const auto main = at<pvh::MemoryMapEntry>(info.memory_map + sizeof(low));
    const auto tables = at<pvh::MemoryMapEntry>(info.memory_map + 2 * sizeof(low));
    EXPECT_EQ(main.address, layout::mib);
    EXPECT_EQ(main.address + main.size, tables.address);
    EXPECT_EQ(tables.address + tables.size, ram_size);
    EXPECT_EQ(tables.type, pvh::memory_acpi);
    EXPECT_GE(info.rsdp, tables.address);
}

TEST_F(DirectBootTest, MemoryAbove4GiBIsTold) {
    const auto map = direct_memory_map({2 * layout::gib, layout::gib}, {2 * layout::gib - 8192, 8192});
    EXPECT_EQ(map.back().where.start, 4 * layout::gib);
    EXPECT_EQ(map.back().where.size, layout::gib);
    EXPECT_EQ(map.back().kind, E820Kind::ram);
}

TEST_F(DirectBootTest, InitrdAndSymbolsAreModulesInThisOrder) {
    initrd = Bytes(5000, std::byte{0x42});
    const Bytes elf = kernel_files::elf_kernel();
    const auto start = load(kernel_files::pe_with_kernel(elf));
    ASSERT_TRUE(start) << start.error().message();
    const auto info = at<pvh::StartInfo>(start->rbx);
    ASSERT_EQ(info.module_count, 2u);
    const auto first = at<pvh::Module>(info.modules);
    const auto second = at<pvh::Module>(info.modules + sizeof(first));
    EXPECT_EQ(first.size, 5000u);
    EXPECT_EQ(at<std::uint8_t>(first.address + 4999), 0x42);
    EXPECT_EQ(second.size, elf.size());
    EXPECT_EQ(std::memcmp(ram.data() + second.address, elf.data(), elf.size()), 0);
    EXPECT_LE(second.address + second.size, first.address);
}

TEST_F(DirectBootTest, ALinuxKernelGetsItsZeroPage) {
    initrd = Bytes(5000, std::byte{0x42});
    command_line = "console=ttyS0";
    const auto start = load(kernel_files::bzimage());
    ASSERT_TRUE(start) << start.error().message();
    EXPECT_EQ(start->mode, CpuStart::Mode::long_64);
    EXPECT_EQ(start->entry.value, 0x100'0200u);
    EXPECT_EQ(text_at(0x100'0000, kernel_files::linux_payload.size()), kernel_files::linux_payload);
    const std::uint64_t page = start->rsi;
    EXPECT_EQ(text_at(page + 0x202, 4), "HdrS");
    EXPECT_EQ(at<std::uint8_t>(page + 0x210), 0xff);
    EXPECT_EQ(text_at(at<std::uint32_t>(page + 0x228), 14), std::string("console=ttyS0\0", 14));
    EXPECT_EQ(at<std::uint32_t>(page + 0x21c), 5000u);
    EXPECT_EQ(at<std::uint8_t>(at<std::uint32_t>(page + 0x218) + 4999u), 0x42);
    EXPECT_EQ(at<std::uint8_t>(page + 0x1e8), 4);
    EXPECT_EQ(at<std::uint64_t>(page + 0x2d0 + 8), 640 * layout::kib);
    EXPECT_EQ(at<std::uint32_t>(page + 0x2d0 + 2 * 20 + 16), 3u) << "the ACPI tables";
    expect_rsdp(at<std::uint64_t>(page + 0x70));
    // The tables show each address at itself.
    const auto pointers = at<std::uint64_t>(start->page_tables.value) & ~0xfffull;
    const auto directory = at<std::uint64_t>(pointers + 3 * 8) & ~0xfffull;
    EXPECT_EQ(at<std::uint64_t>(directory + 5 * 8), 3 * layout::gib + 10 * layout::mib + 0x83);
}

TEST_F(DirectBootTest, ARelocatableLinuxKernelGoesWhereItFits) {
    Bytes file = kernel_files::bzimage();
    kernel_files::put(file, 0x258, std::uint64_t{64 * layout::mib});
    const auto start = load(file);
    ASSERT_TRUE(start) << start.error().message();
    EXPECT_EQ(start->entry.value, 2 * layout::mib + 0x200);
    kernel_files::put(file, 0x234, std::uint8_t{0});
    EXPECT_FALSE(load(file)) << "it may not be moved";
}

TEST_F(DirectBootTest, TheInitrdStaysBelowItsLimit) {
    initrd = Bytes(4097, std::byte{0x42});
    Bytes file = kernel_files::bzimage();
    kernel_files::put(file, 0x22c, std::uint32_t{0x17f'ffff});
    const auto start = load(file);
    ASSERT_TRUE(start) << start.error().message();
    EXPECT_EQ(at<std::uint32_t>(start->rsi + 0x218), 0x180'0000u - 8192u);
}

TEST_F(DirectBootTest, WhatDoesNotFitIsRefused) {
    Bytes elf = kernel_files::elf_kernel();
    const std::size_t address = kernel_files::elf_segment_header + offsetof(Elf64_Phdr, p_paddr);
    const std::size_t note = kernel_files::elf_note_offset + 36;
    for (const std::uint64_t where : {std::uint64_t{0}, 0xa'0000ul, ram_size - 8192, ram_size, 1ul << 40}) {
        kernel_files::put(elf, address, where);
        kernel_files::put(elf, note, where);
        const auto start = load(elf);
        ASSERT_FALSE(start) << where;
        EXPECT_THAT(start.error().message(), HasSubstr("does not fit into memory"));
    }
    initrd = Bytes(ram_size);
    EXPECT_FALSE(load(kernel_files::elf_kernel()));
    EXPECT_FALSE(load(kernel_files::bzimage()));
    initrd.clear();
    Bytes large = kernel_files::bzimage();
    kernel_files::put(large, 0x260, std::uint32_t{0xffff'0000});
    EXPECT_FALSE(load(large));
}

TEST_F(DirectBootTest, ACommandLineThatTheKernelWouldCutIsRefused) {
    command_line = std::string(2048, 'x');
    const auto start = load(kernel_files::bzimage());
    ASSERT_FALSE(start);
    EXPECT_THAT(start.error().message(), HasSubstr("it has 2048 bytes, and the kernel takes 2047"));
    EXPECT_TRUE(load(kernel_files::elf_kernel()));
    command_line = std::string(4096, 'x');
    EXPECT_FALSE(load(kernel_files::elf_kernel()));
}

}  // namespace
}  // namespace exo::vmm
