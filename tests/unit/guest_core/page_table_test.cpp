#include "guest/arch/x86_64/page_table.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <map>
#include <random>

namespace exo::guest::arch {
namespace {

using Page = std::array<std::uint64_t, 512>;

constexpr std::uint64_t kernel = 0xffff'ffff'8000'0000;
constexpr std::uint64_t direct_map = 0xffff'8000'0000'0000;

/// Tables in a simulated machine: memory fresh from the allocator has an address, and must be zero when an
/// entry first points to it.
struct Machine {
    std::map<std::uint64_t, Page> pages;
    std::size_t limit = 10'000;
    std::function<void()> after_store = [] {};

    std::uint64_t allocate_table() {
        if (pages.size() >= limit) return 0;
        const std::uint64_t address = 0x10'0000 + pages.size() * page_size;
        pages[address] = {};
        return address;
    }
    std::uint64_t* table(std::uint64_t physical) {
        const auto found = pages.find(physical);
        if (found == pages.end()) throw std::logic_error("an entry points to no table");
        return found->second.data();
    }
    void store(std::uint64_t* entry, std::uint64_t value) {
        *entry = value;
        after_store();
    }
};

class PageTableTest : public ::testing::Test {
  protected:
    Machine machine;
    PageTable<Machine> tables{machine, machine.allocate_table(), page_size_1g};

    void expect_mapped(std::uint64_t address, std::uint64_t physical, std::uint64_t page) {
        const Translation found = tables.translate(address);
        EXPECT_TRUE(found.mapped);
        EXPECT_EQ(found.physical, physical);
        EXPECT_EQ(found.page, page);
    }
};

TEST_F(PageTableTest, MapsOnePage) {
    ASSERT_EQ(tables.map(kernel, 0x20'0000, page_size, PageAccess::read), MapResult::ok);
    expect_mapped(kernel + 0x123, 0x20'0123, page_size);
    EXPECT_FALSE(tables.translate(kernel - 1).mapped);
    EXPECT_FALSE(tables.translate(kernel + page_size).mapped);
    EXPECT_FALSE(tables.translate(0).mapped);
    EXPECT_FALSE(tables.translate(0x8000'0000'0000).mapped) << "not canonical";
    EXPECT_EQ(machine.pages.size(), 4u);
}

TEST_F(PageTableTest, UnmapsWholePagesOfAllSizes) {
    const std::uint64_t size = page_size_2m + 3 * page_size;
    ASSERT_EQ(tables.map(direct_map, 0, size, PageAccess::read_write), MapResult::ok);
    const std::size_t tables_before = machine.pages.size();
    ASSERT_EQ(tables.unmap(direct_map, page_size_2m + page_size), MapResult::ok);
    EXPECT_FALSE(tables.translate(direct_map).mapped);
    EXPECT_FALSE(tables.translate(direct_map + page_size_2m).mapped);
    expect_mapped(direct_map + page_size_2m + page_size, page_size_2m + page_size, page_size);
    ASSERT_EQ(tables.map(direct_map, 1 << 30, page_size_2m, PageAccess::read), MapResult::ok);
    expect_mapped(direct_map, 1 << 30, page_size_2m);
    EXPECT_EQ(machine.pages.size(), tables_before) << "tables are used again";
}

TEST_F(PageTableTest, UnmapsNothingUnlessAllIsMappedInWholePages) {
    ASSERT_EQ(tables.map(direct_map, 0, page_size_2m, PageAccess::read_write), MapResult::ok);
    EXPECT_EQ(tables.unmap(direct_map, 0), MapResult::invalid);
    EXPECT_EQ(tables.unmap(direct_map, page_size), MapResult::invalid) << "a part of a large page";
    EXPECT_EQ(tables.unmap(direct_map + page_size, page_size_2m - page_size), MapResult::invalid);
    EXPECT_EQ(tables.unmap(direct_map, 2 * page_size_2m), MapResult::invalid) << "the second is not mapped";
    EXPECT_EQ(tables.unmap(direct_map + page_size_2m, page_size), MapResult::invalid);
    expect_mapped(direct_map, 0, page_size_2m);
}

TEST_F(PageTableTest, NeverMapsWritableAndExecutable) {
    std::uint64_t address = kernel;
    for (const PageAccess access : {PageAccess::read, PageAccess::read_write, PageAccess::read_execute}) {
        ASSERT_EQ(tables.map(address, 0, page_size, access), MapResult::ok);
        const std::uint64_t entry = tables.translate(address).entry;
        EXPECT_EQ((entry & page_bit::writable) != 0, access == PageAccess::read_write);
        EXPECT_EQ((entry & page_bit::no_execute) == 0, access == PageAccess::read_execute);
        EXPECT_EQ(entry & (page_bit::cache_disable | page_bit::write_through), 0u);
        EXPECT_EQ(entry & 4u, 0u) << "user access";
        address += page_size;
    }
}

TEST_F(PageTableTest, MapsDevicesUncached) {
    ASSERT_EQ(tables.map(kernel, 0xfee0'0000, page_size, PageAccess::read_write, PageCaching::uncached),
              MapResult::ok);
    const std::uint64_t entry = tables.translate(kernel).entry;
    EXPECT_NE(entry & page_bit::cache_disable, 0u);
    EXPECT_NE(entry & page_bit::write_through, 0u);
}

TEST_F(PageTableTest, UsesTheLargestPagesThatFit) {
    ASSERT_EQ(tables.map(direct_map + page_size_2m - page_size, page_size_2m - page_size, 3 * page_size_1g,
                         PageAccess::read_write),
              MapResult::ok);
    expect_mapped(direct_map + page_size_2m - page_size, page_size_2m - page_size, page_size);
    expect_mapped(direct_map + page_size_2m + 5, page_size_2m + 5, page_size_2m);
    expect_mapped(direct_map + page_size_1g + 7, page_size_1g + 7, page_size_1g);
    expect_mapped(direct_map + 3 * page_size_1g, 3 * page_size_1g, page_size);
}

TEST_F(PageTableTest, KeepsToTheLargestPageAllowed) {
    PageTable<Machine> small(machine, machine.allocate_table(), page_size_2m);
    ASSERT_EQ(small.map(direct_map, 0, page_size_1g, PageAccess::read), MapResult::ok);
    EXPECT_EQ(small.translate(direct_map).page, page_size_2m);
    PageTable<Machine> smallest(machine, machine.allocate_table(), page_size);
    ASSERT_EQ(smallest.map(direct_map, 0, page_size_2m, PageAccess::read), MapResult::ok);
    EXPECT_EQ(smallest.translate(direct_map).page, page_size);
}

TEST_F(PageTableTest, UsesSmallPagesWherePhysicalAlignmentIsMissing) {
    ASSERT_EQ(tables.map(direct_map, page_size, page_size_2m, PageAccess::read), MapResult::ok);
    expect_mapped(direct_map + page_size_2m - 1, page_size + page_size_2m - 1, page_size);
}

TEST_F(PageTableTest, RefusesWhatIsMappedAndChangesNothing) {
    ASSERT_EQ(tables.map(direct_map + page_size_2m, 0, page_size_2m, PageAccess::read), MapResult::ok);
    ASSERT_EQ(tables.map(direct_map + 8 * page_size_2m, 0, page_size, PageAccess::read), MapResult::ok);
    const auto before = machine.pages;
    EXPECT_EQ(tables.map(direct_map + page_size_2m, 0, page_size, PageAccess::read),
              MapResult::already_mapped);
    EXPECT_EQ(tables.map(direct_map, 0, 4 * page_size_2m, PageAccess::read), MapResult::already_mapped);
    EXPECT_EQ(tables.map(direct_map + 8 * page_size_2m, 0, page_size_2m, PageAccess::read),
              MapResult::already_mapped);
    EXPECT_EQ(tables.map(direct_map + 4 * page_size_2m, 0, page_size_1g, PageAccess::read),
              MapResult::already_mapped);
    EXPECT_EQ(machine.pages, before);
}

TEST_F(PageTableTest, RefusesImpossibleRanges) {
    EXPECT_EQ(tables.map(direct_map, 0, 0, PageAccess::read), MapResult::invalid);
    EXPECT_EQ(tables.map(direct_map + 1, 0, page_size, PageAccess::read), MapResult::invalid);
    EXPECT_EQ(tables.map(direct_map, 1, page_size, PageAccess::read), MapResult::invalid);
    EXPECT_EQ(tables.map(direct_map, 0, 1, PageAccess::read), MapResult::invalid);
    EXPECT_EQ(tables.map(0x8000'0000'0000, 0, page_size, PageAccess::read), MapResult::invalid);
    EXPECT_EQ(tables.map(0x7fff'ffff'f000, 0, 2 * page_size, PageAccess::read), MapResult::invalid);
    EXPECT_EQ(tables.map(~0xfffull, 0, 2 * page_size, PageAccess::read), MapResult::invalid);
    EXPECT_EQ(tables.map(0x1000, 0, direct_map, PageAccess::read), MapResult::invalid);
    EXPECT_EQ(tables.map(kernel, 1ull << 52, page_size, PageAccess::read), MapResult::invalid);
    EXPECT_EQ(tables.map(kernel, ~0xfffull, page_size, PageAccess::read), MapResult::invalid);
    EXPECT_EQ(machine.pages.size(), 1u);
    EXPECT_EQ(tables.map(~0xfffull, 0, page_size, PageAccess::read), MapResult::ok) << "the very last page";
    EXPECT_EQ(tables.map(0, 0, page_size, PageAccess::read), MapResult::ok) << "the very first page";
}

TEST_F(PageTableTest, SaysWhenThereIsNoMemoryForTables) {
    machine.limit = 3;
    EXPECT_EQ(tables.map(kernel, 0, page_size, PageAccess::read), MapResult::out_of_memory);
    EXPECT_FALSE(tables.translate(kernel).mapped);
}

/// At every store, the processor sees each page either not at all or as it is meant to be.
TEST_F(PageTableTest, IsValidInEveryIntermediateState) {
    constexpr std::uint64_t start = direct_map + page_size_2m - 3 * page_size;
    constexpr std::uint64_t physical = 5 * page_size_2m - 3 * page_size;
    constexpr std::uint64_t size = page_size_2m + 6 * page_size;
    ASSERT_EQ(tables.map(kernel, 0x1000, page_size, PageAccess::read_execute), MapResult::ok);
    std::size_t stores = 0;
    machine.after_store = [&] {
        ++stores;
        for (std::uint64_t offset = 0; offset < size; offset += page_size) {
            const Translation found = tables.translate(start + offset);
            ASSERT_TRUE(!found.mapped || found.physical == physical + offset);
        }
        ASSERT_EQ(tables.translate(kernel).physical, 0x1000u);
        ASSERT_FALSE(tables.translate(start - page_size).mapped);
        ASSERT_FALSE(tables.translate(start + size).mapped);
    };
    ASSERT_EQ(tables.map(start, physical, size, PageAccess::read_write), MapResult::ok);
    EXPECT_EQ(stores, 4u + 3 + 1 + 3) << "four tables, three small pages, a large one, three small ones";
}

TEST_F(PageTableTest, AgreesWithAListOfMappings) {
    std::mt19937_64 random(3);
    std::map<std::uint64_t, std::uint64_t> model;  // page → physical
    for (int step = 0; step < 2'000; ++step) {
        const std::uint64_t start = direct_map + random() % 4096 * page_size;
        const std::uint64_t physical = random() % 4096 * page_size;
        const std::uint64_t count = random() % 8 == 0 ? 512 + random() % 600 : 1 + random() % 8;
        bool taken = false;
        for (std::uint64_t i = 0; i < count && !taken; ++i) taken = model.contains(start + i * page_size);
        ASSERT_EQ(tables.map(start, physical, count * page_size, PageAccess::read),
                  taken ? MapResult::already_mapped : MapResult::ok);
        for (std::uint64_t i = 0; i < count && !taken; ++i)
            model[start + i * page_size] = physical + i * page_size;
    }
    EXPECT_GT(model.size(), 1000u);
    for (std::uint64_t page = direct_map; page < direct_map + 6000 * page_size; page += page_size) {
        const auto found = model.find(page);
        const Translation translation = tables.translate(page);
        ASSERT_EQ(translation.mapped, found != model.end());
        ASSERT_TRUE(!translation.mapped || translation.physical == found->second);
    }
}

}  // namespace
}  // namespace exo::guest::arch
