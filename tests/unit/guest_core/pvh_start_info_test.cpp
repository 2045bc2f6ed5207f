#include "guest/arch/x86_64/pvh_start_info.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace exo::guest::arch {
namespace {

using boot::MemoryKind;
using boot::MemoryRange;
using boot::pvh::MemoryMapEntry;

constexpr std::uint64_t mib = 1 << 20;

bool same(const MemoryRange& a, const MemoryRange& b) {
    return a.start == b.start && a.size == b.size && a.kind == b.kind;
}

std::vector<MemoryRange> converted(std::vector<MemoryMapEntry> entries) {
    std::vector<MemoryRange> ranges(entries.size() + 4);
    ranges.resize(convert_pvh_memory_map(entries, ranges.data()));
    return ranges;
}

void expect_ranges(const std::vector<MemoryRange>& found, const std::vector<MemoryRange>& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
        EXPECT_TRUE(same(found[i], expected[i]))
            << i << ": " << std::hex << found[i].start << " + " << found[i].size;
}

TEST(PvhStartInfoTest, TheMapIsSortedAndInWholePages) {
    const auto ranges = converted({{mib, 63 * mib, 1, 0},
                                   {0, 0x9fc00, 1, 0},
                                   {0x9fc00, 0x400, 2, 0},
                                   {64 * mib, 0x1800, 3, 0},
                                   {0xfeffc000, 0x4000, 2, 0}});
    expect_ranges(ranges, {{0, 0x9f000, MemoryKind::usable, 0},
                           {0x9f000, 0x1000, MemoryKind::reserved, 0},
                           {mib, 63 * mib, MemoryKind::usable, 0},
                           {64 * mib, 0x2000, MemoryKind::acpi_reclaimable, 0},
                           {0xfeffc000, 0x4000, MemoryKind::reserved, 0}});
}

TEST(PvhStartInfoTest, EntriesThatNoMachineHasAreLeftOut) {
    expect_ranges(converted({{1ull << 52, mib, 1, 0}, {mib, UINT64_MAX, 1, 0}, {mib, 100, 1, 0}}), {});
}

TEST(PvhStartInfoTest, FreeMemoryEndsAtWhatTheVmmPutThere) {
    const std::array entries{MemoryMapEntry{0, 640 << 10, 1, 0}, MemoryMapEntry{mib, 63 * mib, 1, 0},
                             MemoryMapEntry{64 * mib, mib, 2, 0}};
    EXPECT_EQ(free_until(3 * mib, entries, {}, {}), 64 * mib);
    EXPECT_EQ(free_until(64 * mib, entries, {}, {}), 64 * mib) << "reserved";
    const std::array modules{boot::pvh::Module{mib, mib, 0, 0}, boot::pvh::Module{40 * mib, mib, 0, 0}};
    EXPECT_EQ(free_until(3 * mib, entries, modules, {}), 40 * mib);
    const std::array around{boot::pvh::Module{2 * mib, 4 * mib, 0, 0}};
    EXPECT_EQ(free_until(3 * mib, entries, around, {}), 3 * mib);
    const std::array<std::uint64_t, 2> tables{0x1000, 10 * mib};
    EXPECT_EQ(free_until(3 * mib, entries, modules, tables), 10 * mib);
}

TEST(PvhStartInfoTest, WhatIsClaimedForTheLoaderIsCutOut) {
    std::vector<MemoryRange> ranges{{0, 640 << 10, MemoryKind::usable, 0},
                                    {mib, 63 * mib, MemoryKind::usable, 0},
                                    {64 * mib, mib, MemoryKind::reserved, 0}};
    std::size_t count = ranges.size();
    ranges.resize(10);
    boot::claim_for_loader(ranges.data(), count, 2 * mib, 4 * mib);
    boot::claim_for_loader(ranges.data(), count, 63 * mib, 65 * mib);
    ranges.resize(count);
    expect_ranges(ranges, {{0, 640 << 10, MemoryKind::usable, 0},
                           {mib, mib, MemoryKind::usable, 0},
                           {2 * mib, 2 * mib, MemoryKind::loader, 0},
                           {4 * mib, 59 * mib, MemoryKind::usable, 0},
                           {63 * mib, mib, MemoryKind::loader, 0},
                           {64 * mib, mib, MemoryKind::reserved, 0}});
}

}  // namespace
}  // namespace exo::guest::arch
