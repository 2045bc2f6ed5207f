#include "guest/memory/buddy.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace exo::guest {
namespace {

/// A buddy over imaginary memory: it touches only its map.
class BuddyTest : public testing::Test {
  protected:
    static constexpr PageIndex pages = 4096;

    std::vector<PageInfo> infos_ = std::vector<PageInfo>(pages);
    PageMap map_{reinterpret_cast<std::byte*>(std::uintptr_t{1} << 40), infos_.data(), pages};
    BuddyAllocator buddy_{map_};

    std::array<std::uint32_t, BuddyAllocator::order_count> free_blocks() const {
        return buddy_.statistics().free_blocks;
    }
};

TEST_F(BuddyTest, HasNineOrdersUpToOneMebibyte) {
    EXPECT_EQ(BuddyAllocator::order_count, 9U);
    EXPECT_EQ(BuddyAllocator::largest_block * heap_page_size, 1U << 20);
    EXPECT_EQ(BuddyAllocator::order_for(1), 0U);
    EXPECT_EQ(BuddyAllocator::order_for(2), 1U);
    EXPECT_EQ(BuddyAllocator::order_for(3), 2U);
    EXPECT_EQ(BuddyAllocator::order_for(256), 8U);
}

TEST_F(BuddyTest, CutsMemoryIntoTheLargestAlignedBlocks) {
    buddy_.add(3, 256 + 256 + 1);
    // 3 | 4…7 | 8…15 | … | 128…255 | 256…511 | 512…515
    const std::array<std::uint32_t, 9> expected = {1, 0, 2, 1, 1, 1, 1, 1, 1};
    EXPECT_EQ(free_blocks(), expected);
    EXPECT_EQ(buddy_.statistics().managed_pages, 513U);
}

TEST_F(BuddyTest, SplitsOnDemandAndMergesAgain) {
    buddy_.add(0, 256);
    const auto initial = free_blocks();
    const PageIndex page = buddy_.allocate(0);
    ASSERT_NE(page, no_page);
    const std::array<std::uint32_t, 9> halves = {1, 1, 1, 1, 1, 1, 1, 1, 0};
    EXPECT_EQ(free_blocks(), halves);
    EXPECT_EQ(buddy_.statistics().splits, 8U);
    buddy_.free(page, 1);
    EXPECT_EQ(free_blocks(), initial);
    EXPECT_EQ(buddy_.statistics().merges, 8U);
}

TEST_F(BuddyTest, DoesNotMergeAcrossAHole) {
    buddy_.add(0, 1);
    buddy_.add(2, 2);
    EXPECT_EQ(free_blocks()[0], 1U);
    EXPECT_EQ(free_blocks()[1], 1U);
    EXPECT_EQ(buddy_.allocate(2), no_page);
    EXPECT_EQ(buddy_.statistics().failures, 1U);
}

TEST_F(BuddyTest, AlignsEveryOrder) {
    buddy_.add(1, pages - 1);
    for (unsigned order = 0; order < BuddyAllocator::order_count; ++order) {
        const PageIndex page = buddy_.allocate(order);
        ASSERT_NE(page, no_page);
        EXPECT_EQ(page % (PageIndex{1} << order), 0U);
    }
}

TEST_F(BuddyTest, RunsTakeNoMoreThanAsked) {
    buddy_.add(0, 512);
    const PageIndex run = buddy_.allocate_run(67);
    ASSERT_NE(run, no_page);
    EXPECT_EQ(run % 128, 0U);
    EXPECT_EQ(buddy_.statistics().free_pages, 512U - 67);
    buddy_.free(run, 67);
    EXPECT_EQ(free_blocks()[8], 2U);
}

TEST_F(BuddyTest, RunsAboveOneMebibyteAreContiguous) {
    buddy_.add(0, pages);
    const PageIndex first = buddy_.allocate_run(700);
    const PageIndex second = buddy_.allocate_run(3000);
    ASSERT_NE(first, no_page);
    ASSERT_NE(second, no_page);
    EXPECT_TRUE(first + 700 <= second || second + 3000 <= first);
    EXPECT_EQ(buddy_.allocate_run(700), no_page);
    buddy_.free(first, 700);
    buddy_.free(second, 3000);
    EXPECT_EQ(buddy_.allocate_run(pages), 0U);
}

TEST_F(BuddyTest, RunsCanBeAlignedBeyondTheirLength) {
    buddy_.add(1, pages - 1);
    const PageIndex run = buddy_.allocate_run(3, 6);
    EXPECT_EQ(run % 64, 0U);
    EXPECT_EQ(buddy_.statistics().free_pages, pages - 1U - 3);
    EXPECT_EQ(buddy_.allocate_run(1, BuddyAllocator::order_count), no_page);
}

TEST_F(BuddyTest, RunsCanBeKeptBelowAPage) {
    buddy_.add(0, pages);
    EXPECT_EQ(buddy_.allocate_run(4, 0, 3), no_page);
    for (int i = 0; i < 10; ++i) {
        const PageIndex run = buddy_.allocate_run(10, 0, 300);
        ASSERT_NE(run, no_page);
        EXPECT_LE(run + 10, 300U);
    }
    EXPECT_EQ(buddy_.allocate_run(300, 0, 600), no_page);
    EXPECT_EQ(buddy_.allocate_run(300, 0, 1'024), 512U);
}

TEST_F(BuddyTest, LowWaterMarkRemembersTheWorstMoment) {
    buddy_.add(0, 64);
    const PageIndex run = buddy_.allocate_run(48);
    buddy_.free(run, 48);
    EXPECT_EQ(buddy_.statistics().least_free_pages, 16U);
    EXPECT_EQ(buddy_.statistics().free_pages, 64U);
}

TEST_F(BuddyTest, RandomRunsNeverOverlapAndComeBackWhole) {
    buddy_.add(5, pages - 5);
    const auto initial = free_blocks();
    std::map<PageIndex, PageIndex> live;
    std::mt19937 random(1);
    for (int step = 0; step < 50'000; ++step) {
        if (random() % 2 == 0 && !live.empty()) {
            auto victim = live.lower_bound(static_cast<PageIndex>(random() % pages));
            if (victim == live.end()) victim = live.begin();
            buddy_.free(victim->first, victim->second);
            live.erase(victim);
            continue;
        }
        const auto count = static_cast<PageIndex>(1 + (random() % 8 == 0 ? random() % 600 : random() % 8));
        const PageIndex run = buddy_.allocate_run(count);
        if (run == no_page) continue;
        const auto above = live.lower_bound(run);
        if (above != live.end()) {
            ASSERT_LE(run + count, above->first);
        }
        if (above != live.begin()) {
            ASSERT_LE(std::prev(above)->first + std::prev(above)->second, run);
        }
        live.emplace(run, count);
    }
    for (const auto& [run, count] : live) buddy_.free(run, count);
    EXPECT_EQ(free_blocks(), initial);
    EXPECT_EQ(buddy_.statistics().free_pages, pages - 5U);
}

}  // namespace
}  // namespace exo::guest
