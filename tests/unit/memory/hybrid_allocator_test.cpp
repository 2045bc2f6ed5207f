#include "guest/memory/hybrid_allocator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "tests/unit/memory/hosted_heap.h"

namespace exo::guest {
namespace {

using Cache = HostedAllocator::Cache;

std::uintptr_t address_of(const void* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer);
}

class HybridAllocatorTest : public testing::Test {
  protected:
    static constexpr PageIndex pages = 4096;

    HybridAllocatorTest() : initial_(heap_->statistics().buddy.free_blocks) {}

    void expect_all_returned() {
        cache_.flush();
        heap_->reclaim();
        EXPECT_EQ(heap_->statistics().buddy.free_blocks, initial_);
        EXPECT_EQ(heap_->statistics().cpu_slabs.slabs(), 0U);
        EXPECT_EQ(heap_->statistics().large.pages, 0U);
    }

    HostedHeap heap_{pages};
    std::array<std::uint32_t, BuddyAllocator::order_count> initial_;
    Cache cache_{*heap_};
};

TEST_F(HybridAllocatorTest, AllocatesAndFreesEverySize) {
    for (std::size_t size = 0; size < 10'000; ++size) {
        auto* const memory = static_cast<std::byte*>(heap_->allocate(cache_, size));
        ASSERT_NE(memory, nullptr);
        EXPECT_EQ(address_of(memory) % 8, 0U);
        EXPECT_GE(heap_->usable_size(memory), size);
        std::memset(memory, 0xa5, size);
        heap_->deallocate(cache_, memory, size);
    }
    expect_all_returned();
}

TEST_F(HybridAllocatorTest, AlignsEverySizeAndAlignment) {
    for (std::size_t alignment = 1; alignment <= 1U << 20; alignment *= 2) {
        for (const std::size_t size :
             {0U, 1U, 7U, 8U, 9U, 24U, 40U, 100U, 300U, 700U, 1500U, 2048U, 2049U, 5000U, 70'000U}) {
            void* const sized = heap_->allocate(cache_, size, alignment);
            void* const unsized = heap_->allocate(cache_, size, alignment);
            ASSERT_NE(sized, nullptr);
            ASSERT_NE(unsized, nullptr);
            EXPECT_EQ(address_of(sized) % alignment, 0U);
            EXPECT_EQ(address_of(unsized) % alignment, 0U);
            std::memset(sized, 1, size);
            heap_->deallocate(cache_, sized, size, alignment);
            heap_->deallocate(cache_, unsized);
        }
    }
    EXPECT_EQ(heap_->allocate(cache_, 8, 2U << 20), nullptr);
    expect_all_returned();
}

TEST_F(HybridAllocatorTest, FreeingNothingDoesNothing) {
    heap_->deallocate(cache_, nullptr);
    heap_->deallocate(cache_, nullptr, 8);
    heap_->deallocate(cache_, nullptr, 8, 64);
    EXPECT_EQ(cache_.statistics().frees, 0U);
}

TEST_F(HybridAllocatorTest, TwentyAllocationsAreDistinct) {
    std::vector<void*> live;
    for (std::size_t i = 0; i < 20; ++i) live.push_back(heap_->allocate(cache_, 16 * i));
    std::vector<void*> sorted = live;
    std::ranges::sort(sorted);
    EXPECT_EQ(std::ranges::adjacent_find(sorted), sorted.end());
    for (std::size_t i = 0; i < 20; ++i) heap_->deallocate(cache_, live[i], 16 * i);
    expect_all_returned();
}

TEST_F(HybridAllocatorTest, AHundredThousandAllocationsHitTheCache) {
    std::mt19937 random(3);
    std::vector<std::pair<void*, std::size_t>> live(1000);
    for (int i = 0; i < 100'000; ++i) {
        auto& [memory, size] = live[random() % live.size()];
        heap_->deallocate(cache_, memory, size);
        size = 8 + random() % 2041;
        memory = heap_->allocate(cache_, size);
        ASSERT_NE(memory, nullptr);
    }
    EXPECT_GE(cache_.statistics().hit_rate(), 9'680U);
    for (const auto& [memory, size] : live) heap_->deallocate(cache_, memory, size);
    expect_all_returned();
}

TEST_F(HybridAllocatorTest, StatisticsFollowTheLevels) {
    void* const small = heap_->allocate(cache_, 100);
    void* const large = heap_->allocate(cache_, 100'000);
    const HeapStatistics statistics = heap_->statistics();
    EXPECT_EQ(statistics.thread_caches.allocations, 1U);
    EXPECT_EQ(statistics.thread_caches.misses, 1U);
    EXPECT_EQ(statistics.cpu_slabs.refills, 1U);
    EXPECT_EQ(statistics.cpu_slabs.new_slabs, 1U);
    EXPECT_EQ(statistics.large.allocations, 1U);
    EXPECT_EQ(statistics.large.pages, 25U);
    EXPECT_EQ(statistics.large.live, 1U);
    EXPECT_EQ(statistics.live_objects, 1U);
    EXPECT_EQ(statistics.live_bytes, 128U);
    EXPECT_EQ(statistics.buddy.free_pages, pages - 26U);
    heap_->deallocate(cache_, small);
    heap_->deallocate(cache_, large);
    expect_all_returned();
}

TEST_F(HybridAllocatorTest, ALittleMoreThanAPageDoesNotTakeTwo) {
    std::vector<void*> live;
    for (int i = 0; i < 14; ++i) live.push_back(heap_->allocate(cache_, 4'368));
    EXPECT_EQ(heap_->statistics().large.pages, 16U);
    EXPECT_EQ(heap_->usable_size(live[0]), 4'608U);
    for (void* memory : live) heap_->deallocate(cache_, memory, 4'368);
    expect_all_returned();
}

TEST_F(HybridAllocatorTest, StatisticsOutliveTheCaches) {
    {
        Cache other(*heap_);
        heap_->deallocate(other, heap_->allocate(other, 8), 8);
        EXPECT_EQ(heap_->statistics().thread_caches.allocations, 1U);
    }
    EXPECT_EQ(heap_->statistics().thread_caches.allocations, 1U);
}

TEST_F(HybridAllocatorTest, AllocationsAboveOneMebibyte) {
    auto* const memory = static_cast<std::byte*>(heap_->allocate(cache_, 5'000'000));
    ASSERT_NE(memory, nullptr);
    std::memset(memory, 7, 5'000'000);
    EXPECT_EQ(heap_->allocate(cache_, 12'000'000), nullptr);
    heap_->deallocate(cache_, memory, 5'000'000);
    void* const larger = heap_->allocate(cache_, 12'000'000);
    EXPECT_NE(larger, nullptr);
    heap_->deallocate(cache_, larger);
    EXPECT_EQ(heap_->allocate(cache_, ~std::size_t{0}), nullptr);
    expect_all_returned();
}

/// Every byte of every live allocation holds its owner's pattern, through any sequence of allocations and
/// frees of all kinds; at the end every page is back where it was.
TEST_F(HybridAllocatorTest, RandomUseAgainstAShadow) {
    struct Piece {
        std::size_t size;
        std::size_t alignment;
        std::byte pattern;
    };
    std::map<std::byte*, Piece> live;
    std::mt19937 random(42);
    const auto free_one = [&](std::map<std::byte*, Piece>::iterator victim) {
        const auto& [memory, piece] = *victim;
        ASSERT_EQ(std::count(memory, memory + piece.size, piece.pattern), piece.size);
        switch (random() % 2) {
            case 0:
                heap_->deallocate(cache_, memory, piece.size, piece.alignment);
                break;
            default:
                heap_->deallocate(cache_, memory);
                break;
        }
        live.erase(victim);
    };
    for (std::size_t step = 0; step < 60'000; ++step) {
        const bool shrink = live.size() > 400 + step % 800;
        if (!live.empty() && (shrink || random() % 3 == 0)) {
            auto victim = live.lower_bound(heap_.base() + random() % (pages * heap_page_size));
            free_one(victim == live.end() ? live.begin() : victim);
            continue;
        }
        const std::size_t largest = random() % 50 == 0 ? 200'000 : random() % 10 == 0 ? 9'000 : 2'048;
        Piece piece{.size = random() % largest,
                    .alignment = random() % 8 == 0 ? std::size_t{8} << random() % 10 : 8,
                    .pattern = static_cast<std::byte>(random())};
        auto* const memory = static_cast<std::byte*>(heap_->allocate(cache_, piece.size, piece.alignment));
        if (memory == nullptr) continue;
        ASSERT_EQ(address_of(memory) % piece.alignment, 0U);
        const auto above = live.lower_bound(memory);
        if (above != live.end()) {
            ASSERT_LE(memory + piece.size, above->first);
        }
        if (above != live.begin()) {
            ASSERT_LE(std::prev(above)->first + std::prev(above)->second.size, memory);
        }
        std::fill_n(memory, piece.size, piece.pattern);
        live.emplace(memory, piece);
    }
    while (!live.empty()) free_one(live.begin());
    expect_all_returned();
}

TEST_F(HybridAllocatorTest, ExhaustionIsNullAndRecoversWhole) {
    for (const std::size_t size : {64U, 2048U, 3000U, 32'768U}) {
        std::vector<void*> live;
        while (void* memory = heap_->allocate(cache_, size)) live.push_back(memory);
        const std::size_t capacity = pages * heap_page_size / ((size + 4095) / 4096 * 4096);
        EXPECT_GT(live.size(), capacity * 9 / 10);
        EXPECT_EQ(heap_->allocate(cache_, size), nullptr);
        for (void* memory : live) heap_->deallocate(cache_, memory, size);
        void* const again = heap_->allocate(cache_, 1'000'000);
        EXPECT_NE(again, nullptr);
        heap_->deallocate(cache_, again, 1'000'000);
        expect_all_returned();
    }
}

TEST_F(HybridAllocatorTest, WhatOneClassCachesServesAnotherWhenMemoryIsShort) {
    std::vector<void*> live;
    while (void* memory = heap_->allocate(cache_, 2048)) live.push_back(memory);
    for (int i = 0; i < 32; ++i) {
        heap_->deallocate(cache_, live.back(), 2048);
        live.pop_back();
    }
    void* const other = heap_->allocate(cache_, 64);
    EXPECT_NE(other, nullptr);
    heap_->deallocate(cache_, other, 64);
    for (void* memory : live) heap_->deallocate(cache_, memory, 2048);
    expect_all_returned();
}

TEST(HybridAllocatorGrowth, AsksItsSourceForMore) {
    HostedHeap heap(0, 1, 16'384);
    Cache cache(*heap);
    std::vector<void*> live;
    while (void* memory = heap->allocate(cache, 4096)) live.push_back(memory);
    EXPECT_GT(live.size(), 12'000U);
    for (void* memory : live) heap->deallocate(cache, memory, 4096);
    void* const large = heap->allocate(cache, 30'000'000);
    EXPECT_NE(large, nullptr);
    heap->deallocate(cache, large);
}

}  // namespace
}  // namespace exo::guest
