#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "guest/boot/elf.h"
#include "guest/boot/memory_map.h"
#include "guest/boot/utf.h"

namespace exo::guest {
namespace {

using uefi::MemoryDescriptor;
using uefi::MemoryType;

std::string to_utf8(std::u16string_view text, std::size_t capacity = 100) {
    std::string buffer(capacity, '?');
    buffer.resize(uefi::utf16_to_utf8(text.data(), text.size(), buffer.data(), capacity));
    return buffer;
}

TEST(Utf, ConvertsEveryLength) {
    EXPECT_EQ(to_utf8(u"-- sum 0"), "-- sum 0");
    EXPECT_EQ(to_utf8(u"\u00e4\u20ac"), "\xc3\xa4\xe2\x82\xac");
    EXPECT_EQ(to_utf8(u"\U0001F600"), "\xf0\x9f\x98\x80");
    EXPECT_EQ(to_utf8(u""), "");
}

TEST(Utf, StopsAtTheEndAndAtNul) {
    EXPECT_EQ(to_utf8(std::u16string_view(u"ab\0cd", 5)), "ab");
    EXPECT_EQ(to_utf8(u"abcdef", 3), "abc");
    EXPECT_EQ(to_utf8(u"ab\u20ac", 4), "ab") << "no half character";
}

TEST(Utf, ReplacesLoneSurrogates) {
    const char16_t lone[] = {0xd800, 'a', 0xdc00, 0xd83d, 0};
    EXPECT_EQ(to_utf8({lone, 4}),
              "\xef\xbf\xbd"
              "a\xef\xbf\xbd\xef\xbf\xbd");
}

std::vector<boot::MemoryRange> convert(const std::vector<MemoryDescriptor>& descriptors) {
    // The firmware's descriptors may be larger than the structure.
    constexpr std::size_t stride = sizeof(MemoryDescriptor) + 8;
    std::vector<std::uint8_t> bytes(descriptors.size() * stride);
    for (std::size_t i = 0; i < descriptors.size(); ++i)
        std::memcpy(bytes.data() + i * stride, &descriptors[i], sizeof(MemoryDescriptor));
    std::vector<boot::MemoryRange> ranges(descriptors.size());
    ranges.resize(uefi::convert_memory_map(bytes.data(), bytes.size(), stride, ranges.data()));
    return ranges;
}

MemoryDescriptor descriptor(MemoryType type, std::uint64_t start, std::uint64_t pages) {
    return {type, 0, start, 0, pages, 0};
}

TEST(MemoryMap, IsSortedAndJoined) {
    const auto ranges = convert({
        descriptor(MemoryType::acpi_nvs, 0x9000, 1),
        descriptor(MemoryType::conventional, 0x2000, 2),
        descriptor(MemoryType::boot_services_data, 0x1000, 1),
        descriptor(MemoryType::loader_code, 0x4000, 1),
        descriptor(MemoryType::loader_data, 0x5000, 1),
        descriptor(MemoryType::acpi_reclaim, 0x6000, 1),
        descriptor(MemoryType::memory_mapped_io, 0xfee00000, 1),
        descriptor(MemoryType::boot_services_code, 0x1'0000'0000, 4),
    });
    ASSERT_EQ(ranges.size(), 6u);
    EXPECT_EQ(ranges[0].start, 0x1000u);
    EXPECT_EQ(ranges[0].size, 0x3000u);
    EXPECT_EQ(ranges[0].kind, boot::MemoryKind::usable);
    EXPECT_EQ(ranges[1].size, 0x2000u);
    EXPECT_EQ(ranges[1].kind, boot::MemoryKind::loader);
    EXPECT_EQ(ranges[2].kind, boot::MemoryKind::acpi_reclaimable);
    EXPECT_EQ(ranges[3].kind, boot::MemoryKind::reserved);
    EXPECT_EQ(ranges[4].kind, boot::MemoryKind::mmio);
    EXPECT_EQ(ranges[5].start, 0x1'0000'0000u);
}

TEST(MemoryMap, NeverOverlaps) {
    std::mt19937_64 random(5);
    for (int round = 0; round < 500; ++round) {
        std::vector<MemoryDescriptor> descriptors;
        for (unsigned i = 0; i < 1 + random() % 40; ++i)
            descriptors.push_back(
                descriptor(static_cast<MemoryType>(random() % 20), random() % 100 * 0x1000, random() % 10));
        descriptors.push_back(descriptor(MemoryType::conventional, 0x5000, ~0ull));
        const auto ranges = convert(descriptors);
        for (std::size_t i = 1; i < ranges.size(); ++i) {
            ASSERT_GE(ranges[i].start, ranges[i - 1].start + ranges[i - 1].size);
            ASSERT_GT(ranges[i].size, 0u);
        }
        std::uint64_t first = ~0ull, last = 0;
        for (const auto& d : descriptors) {
            if (d.page_count == 0 || d.page_count == ~0ull) continue;
            first = std::min(first, d.physical_start);
            last = std::max(last, d.physical_start + d.page_count * 0x1000);
        }
        if (last == 0) continue;
        ASSERT_EQ(ranges.front().start, first);
        ASSERT_EQ(ranges.back().start + ranges.back().size, last);
    }
}

constexpr std::uint64_t base = boot::kernel_base;

/// An executable of two segments, which tests then break.
struct Executable {
    elf::Header header = {};
    elf::ProgramHeader segments[2] = {};
    std::uint8_t rest[0x3000] = {};

    Executable() {
        std::memcpy(header.magic,
                    "\x7f"
                    "ELF",
                    4);
        header.class_64 = 2;
        header.little_endian = 1;
        header.type = elf::type_executable;
        header.machine = elf::machine_x86_64;
        header.entry = base + 0x10;
        header.program_offset = sizeof(header);
        header.program_entry_size = sizeof(elf::ProgramHeader);
        header.program_count = 2;
        segments[0] = {1, elf::flag_execute | 4, 0x1000, base, base, 0x800, 0x800, 0x1000};
        segments[1] = {1, elf::flag_write | 4, 0x2000, base + 0x1000, base + 0x1000, 0x100, 0x1800, 0x1000};
    }
    const char* plan(elf::LoadPlan& plan) const {
        return elf::plan_load({reinterpret_cast<const std::uint8_t*>(this), sizeof(*this)}, base, plan);
    }
    const char* wrong() const {
        elf::LoadPlan ignored;
        return plan(ignored);
    }
};

TEST(ElfLoad, PlansTheSegments) {
    const Executable file;
    elf::LoadPlan plan;
    ASSERT_EQ(file.plan(plan), nullptr);
    EXPECT_EQ(plan.segment_count, 2u);
    EXPECT_EQ(plan.size, 0x3000u);
    EXPECT_EQ(plan.entry, base + 0x10);
}

TEST(ElfLoad, RefusesWhatIsNoExecutable) {
    Executable file;
    file.header.magic[1] = 'X';
    EXPECT_NE(file.wrong(), nullptr);
    file = {};
    file.header.machine = 3;
    EXPECT_NE(file.wrong(), nullptr);
    file = {};
    file.header.type = 1;
    EXPECT_NE(file.wrong(), nullptr);
    elf::LoadPlan plan;
    EXPECT_NE(elf::plan_load({reinterpret_cast<const std::uint8_t*>(&file), 10}, base, plan), nullptr);
    EXPECT_NE(elf::plan_load({nullptr, 0}, base, plan), nullptr);
}

TEST(ElfLoad, RefusesSegmentsThatCannotBe) {
    const auto broken = [](auto change) {
        Executable file;
        change(file);
        return file.wrong() != nullptr;
    };
    EXPECT_TRUE(broken([](Executable& f) { f.header.program_count = 300; }));
    EXPECT_TRUE(broken([](Executable& f) { f.header.program_count = 0; }));
    EXPECT_TRUE(broken([](Executable& f) { f.header.program_offset = ~0ull; }));
    EXPECT_TRUE(broken([](Executable& f) { f.header.program_entry_size = 8; }));
    EXPECT_TRUE(broken([](Executable& f) { f.header.entry = base + 0x3000; }));
    EXPECT_TRUE(broken([](Executable& f) { f.header.entry = 0; }));
    EXPECT_TRUE(broken([](Executable& f) { f.segments[0].virtual_address = 0x1000; }));
    EXPECT_TRUE(broken([](Executable& f) { f.segments[0].virtual_address = base + 1; }));
    EXPECT_TRUE(broken([](Executable& f) { f.segments[0].file_size = 0x801; }));
    EXPECT_TRUE(broken([](Executable& f) { f.segments[1].offset = 0x10'0000; }));
    EXPECT_TRUE(broken([](Executable& f) { f.segments[1].offset = ~0ull; }));
    EXPECT_TRUE(broken([](Executable& f) { f.segments[1].memory_size = ~0ull; }));
    EXPECT_TRUE(broken([](Executable& f) { f.segments[0].memory_size = 0x1001; })) << "overlap";
    EXPECT_TRUE(broken([](Executable& f) { f.segments[0].flags = 7; })) << "writable and executable";
}

}  // namespace
}  // namespace exo::guest
