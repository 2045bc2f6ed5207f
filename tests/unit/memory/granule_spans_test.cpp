#include "guest/memory/granule_spans.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "tests/unit/memory/hosted_heap.h"

namespace exo::guest {
namespace {

class GranuleSpansTest : public testing::Test {
  protected:
    static constexpr PageIndex pages = 1024;

    std::byte* allocate(std::uint32_t granules) { return heap_->pages().take_piece(granules); }
    void free(void* memory) { heap_->pages().give_piece(memory); }
    Piece piece_at(const std::byte* pointer) const {
        return GranuleSpan(heap_.map(), heap_.map().index_of(pointer)).piece_at(pointer);
    }
    std::uint64_t free_pages() { return heap_->statistics().buddy.free_pages; }

    struct Heap : HostedHeap {
        using HostedHeap::HostedHeap;
        const PageMap& map() const { return const_cast<Heap&>(*this)->map(); }
    };
    Heap heap_{pages};
};

TEST_F(GranuleSpansTest, SevenPiecesOfAPageAndAHeaderShareEightPages) {
    std::vector<std::byte*> live;
    for (int i = 0; i < 7; ++i) live.push_back(allocate(9));
    EXPECT_EQ(free_pages(), pages - 8);
    EXPECT_EQ(heap_->statistics().large.live, 7U);
    EXPECT_EQ(heap_->statistics().large.pages, 8U);
    live.push_back(allocate(9));
    EXPECT_EQ(free_pages(), pages - 16);
    for (std::byte* const memory : live) free(memory);
    EXPECT_EQ(free_pages(), pages);
    EXPECT_EQ(heap_->statistics().large.pages, 0U);
}

TEST_F(GranuleSpansTest, TheShortestRunThatSufficesIsUsed) {
    std::byte* const front = allocate(10);
    std::byte* const middle = allocate(20);
    std::byte* const back = allocate(30);  // and four are left behind it
    free(front);
    EXPECT_EQ(allocate(4), front);
    std::byte* const other = allocate(32);  // in a span of its own, which has 32 left
    EXPECT_EQ(allocate(6), front + 4 * granule_bytes);
    free(other);
    free(middle);
    free(back);
}

TEST_F(GranuleSpansTest, APieceIsFoundByAnyAddressInIt) {
    std::byte* const first = allocate(5);
    std::byte* const second = allocate(9);
    for (std::size_t i = 0; i < 9; ++i) {
        EXPECT_EQ(piece_at(second + i * granule_bytes + 100).start, second);
        EXPECT_EQ(piece_at(second + i * granule_bytes).granules, 9U);
    }
    EXPECT_EQ(piece_at(first + 5 * granule_bytes - 1).start, first);
    EXPECT_EQ(piece_at(second + 9 * granule_bytes).granules, 0U);
    free(first);
    EXPECT_EQ(piece_at(second).start, second);
    EXPECT_EQ(piece_at(first).granules, 0U);
    free(second);
}

TEST_F(GranuleSpansTest, WithoutEightPagesInARowThereAreNone) {
    std::vector<PageIndex> taken;
    for (PageIndex page = 0; (page = heap_->pages().take_large(7, 3)) != no_page;) taken.push_back(page);
    EXPECT_EQ(taken.size(), pages / 8);
    EXPECT_EQ(allocate(9), nullptr);
    // The heap then gives whole pages, of which there are some left here and there.
    HostedAllocator::Cache cache(*heap_);
    void* const small = heap_->allocate(cache, 3'000);
    ASSERT_NE(small, nullptr);
    EXPECT_EQ(heap_->usable_size(small), heap_page_size);
    heap_->deallocate(cache, small, 3'000);
    cache.flush();
    for (const PageIndex page : taken) heap_->pages().give_large(page);
    EXPECT_EQ(free_pages(), pages);
}

TEST_F(GranuleSpansTest, RandomPiecesNeverOverlapAndAllComeBack) {
    std::map<std::byte*, std::uint32_t> live;
    std::mt19937 random(7);
    for (int step = 0; step < 40'000; ++step) {
        if (!live.empty() && random() % 200 < live.size()) {
            auto victim = live.lower_bound(heap_.base() + random() % (pages * heap_page_size));
            if (victim == live.end()) victim = live.begin();
            ASSERT_EQ(piece_at(victim->first).granules, victim->second);
            free(victim->first);
            live.erase(victim);
            continue;
        }
        const auto granules = static_cast<std::uint32_t>(1 + random() % longest_piece);
        std::byte* const memory = allocate(granules);
        ASSERT_NE(memory, nullptr);
        const auto above = live.lower_bound(memory);
        if (above != live.end()) {
            ASSERT_LE(memory + granules * granule_bytes, above->first);
        }
        if (above != live.begin()) {
            ASSERT_LE(std::prev(above)->first + std::prev(above)->second * granule_bytes, memory);
        }
        live.emplace(memory, granules);
    }
    for (const auto& [memory, granules] : live) free(memory);
    EXPECT_EQ(free_pages(), pages);
}

/// Who frees looks its piece up without the lock, while the neighbours come and go.
TEST_F(GranuleSpansTest, APieceIsFoundWhileItsNeighboursChange) {
    std::byte* const below = allocate(9);
    std::byte* const mine = allocate(9);
    std::atomic<bool> stop = false;
    std::thread neighbour([&] {
        std::byte* memory = below;
        while (!stop) {
            free(memory);
            memory = allocate(9);
        }
        free(memory);
    });
    for (int i = 0; i < 200'000; ++i) {
        const Piece piece = piece_at(mine);
        ASSERT_EQ(piece.start, mine);
        ASSERT_EQ(piece.granules, 9U);
    }
    stop = true;
    neighbour.join();
    free(mine);
}

}  // namespace
}  // namespace exo::guest
