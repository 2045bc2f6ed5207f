#include "guest/memory/cpu_slab.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "tests/unit/memory/hosted_heap.h"

namespace exo::guest {
namespace {

using Slab = CpuSlab<HostedPlatform>;

std::vector<FreeObject*> objects_of(const Chain& chain) {
    std::vector<FreeObject*> objects;
    for (FreeObject* object = chain.head; object != nullptr; object = object->next) objects.push_back(object);
    return objects;
}

Chain chain_of(const std::vector<FreeObject*>& objects) {
    Chain chain;
    for (FreeObject* object : objects) {
        object->next = chain.head;
        chain.head = object;
        ++chain.count;
    }
    return chain;
}

/// Two CPUs over 256 pages.
class CpuSlabTest : public testing::Test {
  protected:
    CpuSlabTest() { pages_.add(0, page_count); }

    static constexpr PageIndex page_count = 256;
    Mapping memory_{page_count * heap_page_size};
    std::vector<PageInfo> infos_ = std::vector<PageInfo>(page_count);
    PageSupply<HostedLock> pages_{PageMap(memory_.data(), infos_.data(), page_count)};
    std::array<Slab::Inbox, 2> inboxes_;
    Slab slab_{pages_, inboxes_, 0};
    Slab other_{pages_, inboxes_, 1};
};

TEST_F(CpuSlabTest, RefillsAreChainsOfDistinctObjectsOfAllClasses) {
    for (SizeClass c = 0; c < size_class_count; ++c) {
        std::set<std::byte*> starts;
        for (int i = 0; i < 3; ++i) {
            const Chain chain = slab_.refill(c, 32);
            ASSERT_EQ(chain.count, 32U);
            const auto objects = objects_of(chain);
            ASSERT_EQ(objects.size(), 32U);
            for (FreeObject* object : objects) starts.insert(reinterpret_cast<std::byte*>(object));
        }
        ASSERT_EQ(starts.size(), 96U);
        std::byte* end = nullptr;
        for (std::byte* start : starts) {
            EXPECT_GE(start, end);
            end = start + size_class_bytes[c];
            EXPECT_EQ(pages_.map().index_of(start), pages_.map().index_of(end - 1));
        }
    }
}

TEST_F(CpuSlabTest, WholeChainsGoUpAgainUntouched) {
    const Chain chain = slab_.refill(5, 32);
    slab_.give(5, chain);
    const Chain again = slab_.refill(5, 32);
    EXPECT_EQ(again.head, chain.head);
    EXPECT_EQ(slab_.statistics(5).chain_hits, 1U);
    EXPECT_EQ(slab_.statistics(5).refills, 2U);
    EXPECT_EQ(slab_.statistics(5).hit_rate(), 5'000U);
}

TEST_F(CpuSlabTest, LongChainsAreCutForWhoWantsLess) {
    slab_.give(5, slab_.refill(5, 32));
    const Chain front = slab_.refill(5, 8);
    EXPECT_EQ(objects_of(front).size(), 8U);
    const Chain rest = slab_.refill(5, 32);
    EXPECT_EQ(rest.count, 24U);
    EXPECT_EQ(objects_of(rest).size(), 24U);
}

TEST_F(CpuSlabTest, KeepsABoundedNumberOfChains) {
    EXPECT_EQ(Slab::chain_limit(size_class_of(64)), 16U);
    EXPECT_EQ(Slab::chain_limit(size_class_of(2048)), 1U);
    std::vector<Chain> chains;
    for (int i = 0; i < 20; ++i) chains.push_back(slab_.refill(5, 32));
    for (const Chain& chain : chains) slab_.give(5, chain);
    EXPECT_EQ(slab_.statistics(5).chained_objects, 16U * 32);
    EXPECT_EQ(slab_.statistics(5).spilled_objects, 4U * 32);
    slab_.trim();
    EXPECT_EQ(slab_.statistics(5).slabs(), 0U);
    EXPECT_EQ(pages_.statistics().free_pages, page_count);
}

TEST_F(CpuSlabTest, TuningSpillsChainsThatNobodyNeeds) {
    std::vector<Chain> chains;
    for (int i = 0; i < 8; ++i) chains.push_back(slab_.refill(5, 32));
    for (const Chain& chain : chains) slab_.give(5, chain);
    slab_.tune(5);
    EXPECT_EQ(slab_.statistics(5).chained_objects, 8U * 32);
    for (int i = 0; i < 8; ++i) slab_.tune(5);
    EXPECT_EQ(slab_.statistics(5).chained_objects, 0U);
}

TEST_F(CpuSlabTest, EmptySlabsGoBackToTheBuddyBeyondWhatARefillNeeds) {
    std::vector<FreeObject*> objects;
    for (int i = 0; i < 16; ++i)
        for (FreeObject* object : objects_of(slab_.refill(15, 32))) objects.push_back(object);
    EXPECT_EQ(slab_.statistics(15).slabs(), page_count);
    slab_.give(15, chain_of({objects.back()}));
    objects.pop_back();
    slab_.give(15, chain_of(objects));
    // Sixteen empty ones, and one whose other object is in the chain kept.
    EXPECT_EQ(slab_.statistics(15).slabs(), 17U);
    EXPECT_EQ(slab_.statistics(15).released_slabs, page_count - 17U);
}

TEST_F(CpuSlabTest, ShortOrNoChainsWhenTheBuddyIsEmpty) {
    const std::uint32_t capacity = 2 * page_count;
    std::uint32_t got = 0;
    while (got < capacity - 10) got += slab_.refill(15, std::min(32U, capacity - 10 - got)).count;
    EXPECT_EQ(slab_.refill(15, 32).count, 10U);
    const Chain none = slab_.refill(15, 32);
    EXPECT_EQ(none.count, 0U);
    EXPECT_EQ(none.head, nullptr);
}

TEST_F(CpuSlabTest, ColoursMoveSlabsAgainstEachOtherAndKeepAlignment) {
    const SizeClass c = size_class_of(768);
    std::set<std::uintptr_t> offsets;
    for (int i = 0; i < 8; ++i) {
        for (FreeObject* object : objects_of(slab_.refill(c, 32))) {
            const auto address = reinterpret_cast<std::uintptr_t>(object);
            EXPECT_EQ(address % size_class_alignment(c), 0U);
            offsets.insert(address % heap_page_size);
        }
    }
    EXPECT_EQ(SlabGeometry::colours(c), 2U);
    EXPECT_EQ(offsets.size(), 10U);
    EXPECT_TRUE(offsets.contains(0));
    EXPECT_TRUE(offsets.contains(256));
}

TEST_F(CpuSlabTest, ObjectsOfAnotherCpuReturnToItInOneBatchASlab) {
    std::vector<FreeObject*> objects;
    for (int i = 0; i < 16; ++i)
        for (FreeObject* object : objects_of(slab_.refill(5, 32))) objects.push_back(object);
    const std::uint64_t slabs = slab_.statistics(5).slabs();
    EXPECT_EQ(slabs, 8U);
    for (std::size_t i = 0; i < Slab::chain_limit(5); ++i) other_.give(5, other_.refill(5, 1));
    while (objects.size() >= 32) {
        other_.give(5, chain_of({objects.end() - 32, objects.end()}));
        objects.resize(objects.size() - 32);
    }
    other_.trim();
    const CpuSlabStatistics sent = other_.statistics(5);
    EXPECT_EQ(sent.remote_objects, 512U);
    EXPECT_EQ(sent.remote_batches, 16U);
    EXPECT_EQ(sent.slabs(), 0U);
    EXPECT_EQ(slab_.statistics(5).slabs(), slabs);
    slab_.trim();
    EXPECT_EQ(slab_.statistics(5).received_objects, 512U);
    EXPECT_EQ(slab_.statistics(5).slabs(), 0U);
    EXPECT_EQ(pages_.statistics().free_pages, page_count);
}

TEST_F(CpuSlabTest, TheOwnerTakesWhatOthersReturnedBeforeNewPages) {
    std::vector<FreeObject*> objects;
    for (int i = 0; i < 4; ++i)
        for (FreeObject* object : objects_of(slab_.refill(15, 32))) objects.push_back(object);
    const std::uint64_t slabs = slab_.statistics(15).new_slabs;
    other_.give(15, chain_of(objects));
    other_.trim();
    EXPECT_EQ(slab_.refill(15, 32).count, 32U);
    EXPECT_EQ(slab_.statistics(15).new_slabs, slabs);
}

}  // namespace
}  // namespace exo::guest
