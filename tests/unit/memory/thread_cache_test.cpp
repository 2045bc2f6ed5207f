#include "guest/memory/thread_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace exo::guest {
namespace {

/// Counts what the cache asks of the level below, and gives it memory without end.
class CountingSource {
  public:
    Chain refill(SizeClass size_class, std::uint32_t want) {
        ++refills;
        if (exhausted) return {};
        Chain chain;
        for (; chain.count < want; ++chain.count) {
            memory_.push_back(std::make_unique<std::byte[]>(size_class_bytes[size_class]));
            chain.head = new (memory_.back().get()) FreeObject{chain.head};
        }
        outside += want;
        return chain;
    }
    void give(SizeClass, Chain chain) {
        std::uint32_t count = 0;
        for (const FreeObject* object = chain.head; object != nullptr; object = object->next) ++count;
        EXPECT_EQ(count, chain.count);
        outside -= count;
    }
    void give_run(void* run) { runs.push_back(run); }
    void tune(SizeClass size_class) { tuned.push_back(size_class); }
    std::uint32_t pressure() const { return pressure_count; }
    void attach(ThreadCache<CountingSource>&) {}
    void detach(ThreadCache<CountingSource>&) {}

    std::uint32_t refills = 0;
    std::vector<void*> runs;  ///< given back
    std::vector<SizeClass> tuned;
    std::int64_t outside = 0;  ///< objects that the cache or its user holds
    std::uint32_t pressure_count = 0;
    bool exhausted = false;

  private:
    std::vector<std::unique_ptr<std::byte[]>> memory_;
};

using Cache = ThreadCache<CountingSource>;

class ThreadCacheTest : public testing::Test {
  protected:
    void allocate(SizeClass size_class, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) live_.push_back(cache_.allocate(size_class));
    }
    void free_all(SizeClass size_class) {
        for (void* object : live_) cache_.deallocate(object, size_class);
        live_.clear();
    }

    CountingSource source_;
    Cache cache_{source_};
    std::vector<void*> live_;
};

TEST_F(ThreadCacheTest, StartsEmptyWithSixteenBins) {
    const ThreadCacheStatistics statistics = cache_.statistics();
    EXPECT_EQ(statistics.allocations, 0U);
    EXPECT_EQ(statistics.hit_rate(), 10'000U);
    for (SizeClass c = 0; c < size_class_count; ++c) EXPECT_EQ(cache_.held(c), 0U);
    EXPECT_EQ(source_.refills, 0U);
}

TEST_F(ThreadCacheTest, GivesBackTheObjectFreedLast) {
    void* const object = cache_.allocate(3);
    cache_.deallocate(object, 3);
    EXPECT_EQ(cache_.allocate(3), object);
}

TEST_F(ThreadCacheTest, ChainsGrowToThirtyTwo) {
    const SizeClass size_class = size_class_of(64);
    EXPECT_EQ(cache_.chain_length(size_class), 8U);
    allocate(size_class, 8 + 16 + 32);
    EXPECT_EQ(source_.refills, 3U);
    EXPECT_EQ(cache_.chain_length(size_class), 32U);
    free_all(size_class);
}

TEST_F(ThreadCacheTest, StreamOfAllocationsHitsThirtyOneTimesInThirtyTwo) {
    const SizeClass size_class = size_class_of(64);
    allocate(size_class, 100'000);
    EXPECT_GE(cache_.statistics().hit_rate(), 9'680U);
    free_all(size_class);
}

TEST_F(ThreadCacheTest, HitRateOfAMixedLoadIsAboveEightyPercent) {
    for (int i = 0; i < 100; ++i) {
        for (const std::size_t size : {16U, 64U, 200U, 1000U}) {
            void* const object = cache_.allocate(size_class_of(size));
            cache_.deallocate(object, size_class_of(size));
        }
    }
    const ThreadCacheStatistics statistics = cache_.statistics();
    EXPECT_EQ(statistics.allocations, 400U);
    EXPECT_EQ(statistics.frees, 400U);
    EXPECT_EQ(statistics.misses, 4U);
    EXPECT_GT(statistics.hit_rate(), 8'000U);
}

TEST_F(ThreadCacheTest, BinsHoldAtMostSixtyFourObjects) {
    for (SizeClass c = 0; c < size_class_count; ++c) {
        allocate(c, 1000);
        for (void* object : live_) {
            cache_.deallocate(object, c);
            ASSERT_LE(cache_.held(c), 64U);
        }
        live_.clear();
        EXPECT_GE(cache_.held(c), cache_.chain_length(c));
        EXPECT_EQ(cache_.held(c), static_cast<std::uint32_t>(source_.outside));
        cache_.flush();
        EXPECT_EQ(source_.outside, 0);
    }
}

TEST_F(ThreadCacheTest, AllBinsTogetherStayUnderTheByteCap) {
    for (SizeClass c = 0; c < size_class_count; ++c) {
        allocate(c, 2000);
        free_all(c);
    }
    std::size_t bytes = 0;
    for (SizeClass c = 0; c < size_class_count; ++c) bytes += cache_.held(c) * size_class_bytes[c];
    EXPECT_LE(bytes, cache_.byte_cap());
    EXPECT_GT(bytes, cache_.byte_cap() / 4);
}

TEST_F(ThreadCacheTest, ChangingDirectionCostsNothing) {
    const SizeClass size_class = size_class_of(64);
    allocate(size_class, 500);
    free_all(size_class);
    const std::uint32_t refills = source_.refills;
    for (int i = 0; i < 1000; ++i) {
        allocate(size_class, 32);
        free_all(size_class);
    }
    EXPECT_EQ(source_.refills, refills);
}

TEST_F(ThreadCacheTest, TuningReturnsWhatIdleBinsHold) {
    allocate(5, 200);
    free_all(5);
    cache_.tune();
    EXPECT_GT(cache_.held(5), 0U);
    EXPECT_EQ(std::ranges::count(source_.tuned, 5), 0);
    cache_.tune();
    EXPECT_EQ(cache_.held(5), 0U);
    EXPECT_EQ(std::ranges::count(source_.tuned, 5), 1);
    EXPECT_EQ(source_.outside, 0);
    EXPECT_EQ(cache_.chain_length(5), 8U);
    EXPECT_EQ(cache_.statistics().tunings, 2U);
}

TEST(ThreadCache, TuningLengthensChainsThatMissWithWhatIdleOnesGiveUp) {
    CountingSource source;
    Cache cache(source, 66 << 10);
    const SizeClass idle = size_class_of(384);
    const SizeClass missing = size_class_of(512);
    cache.deallocate(cache.allocate(idle), idle);
    EXPECT_EQ(cache.chain_length(idle), 16U);
    std::vector<void*> live;
    cache.tune();
    for (int i = 0; i < 100; ++i) live.push_back(cache.allocate(missing));
    EXPECT_EQ(cache.chain_length(missing), 8U);  // there was no room for more
    cache.tune();
    EXPECT_EQ(cache.chain_length(idle), 8U);
    EXPECT_EQ(cache.chain_length(missing), 16U);
    for (void* object : live) cache.deallocate(object, missing);
}

TEST_F(ThreadCacheTest, TuningShortensChainsThatNeverMissWhenBytesAreScarce) {
    for (const SizeClass c : {SizeClass{14}, SizeClass{15}}) {
        allocate(c, 200);
        free_all(c);
    }
    allocate(5, 200);
    free_all(5);
    EXPECT_EQ(cache_.chain_length(5), 32U);
    cache_.tune();
    const auto use = [&](SizeClass c) {
        for (int i = 0; i < 2'000; ++i) cache_.deallocate(cache_.allocate(c), c);
    };
    for (const SizeClass c : {SizeClass{5}, SizeClass{14}, SizeClass{15}}) use(c);
    cache_.tune();
    EXPECT_EQ(cache_.chain_length(5), 16U);
}

TEST_F(ThreadCacheTest, TunesItselfWhenItVisitsTheLevelBelowOften) {
    allocate(1, 100);
    free_all(1);
    allocate(5, 32 * 600);
    EXPECT_GE(cache_.statistics().tunings, 2U);
    EXPECT_EQ(cache_.held(1), 0U);
    free_all(5);
}

TEST_F(ThreadCacheTest, MemoryPressureEmptiesItAtTheNextVisit) {
    allocate(1, 200);
    free_all(1);
    ++source_.pressure_count;
    void* const object = cache_.allocate(9);
    EXPECT_EQ(cache_.held(1), 0U);
    EXPECT_NE(object, nullptr);
    cache_.deallocate(object, 9);
}

TEST_F(ThreadCacheTest, ExhaustionIsNullAndEmptiesTheCache) {
    allocate(1, 200);
    free_all(1);
    source_.exhausted = true;
    EXPECT_EQ(cache_.allocate(9), nullptr);
    EXPECT_EQ(source_.outside, 0);
    EXPECT_EQ(cache_.statistics().allocations, 200U);
    source_.exhausted = false;
    void* const object = cache_.allocate(9);
    EXPECT_NE(object, nullptr);
    cache_.deallocate(object, 9);
}

TEST_F(ThreadCacheTest, KeepsAFewRunsOfPages) {
    constexpr std::size_t two_pages = 2 * granules_per_page;
    constexpr std::size_t most = Cache::most_granules / two_pages;
    std::vector<std::byte> memory((most + 1) * two_pages * granule_bytes);
    const auto run = [&](std::size_t i) { return &memory[i * two_pages * granule_bytes]; };
    EXPECT_EQ(cache_.take_run(two_pages), nullptr);
    for (std::size_t i = 0; i < most; ++i) EXPECT_TRUE(cache_.keep_run(run(i), two_pages));
    EXPECT_FALSE(cache_.keep_run(run(most), 1));
    EXPECT_EQ(cache_.held_pages(), Cache::most_granules / granules_per_page);
    EXPECT_EQ(cache_.take_run(1), nullptr);
    EXPECT_EQ(cache_.take_run(two_pages), run(most - 1));
    EXPECT_EQ(cache_.held_runs(), most - 1);
    EXPECT_TRUE(cache_.keep_run(run(most - 1), 9));
    EXPECT_EQ(cache_.held_pages(), (most - 1) * 2);
    cache_.tune();
    EXPECT_TRUE(source_.runs.empty());
    cache_.tune();
    EXPECT_EQ(source_.runs.size(), most);
    EXPECT_EQ(cache_.held_pages(), 0U);
}

TEST(ThreadCache, GivesEverythingBackWhenItsThreadEnds) {
    CountingSource source;
    {
        Cache cache(source);
        for (SizeClass c = 0; c < size_class_count; ++c) cache.deallocate(cache.allocate(c), c);
        EXPECT_GT(source.outside, 0);
    }
    EXPECT_EQ(source.outside, 0);
}

}  // namespace
}  // namespace exo::guest
