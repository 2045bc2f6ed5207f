#include "guest/memory/first_fit_heap.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "guest/memory/growing_heap.h"

namespace exo::guest {
namespace {

using FreeResult = FirstFitHeap::FreeResult;

class HeapTest : public ::testing::Test {
  protected:
    static constexpr std::size_t region = 64 * 1024;
    HeapTest() : memory_(region) { heap.add_region({align(memory_.data()), region - 64}); }

    static std::byte* align(std::byte* pointer) {
        return pointer + (-reinterpret_cast<std::uintptr_t>(pointer) & 63);
    }
    void expect_initial_state() const {
        EXPECT_EQ(heap.used(), 0u);
        EXPECT_EQ(heap.allocations(), 0u);
        EXPECT_EQ(heap.free_blocks(), 1u);
        EXPECT_EQ(heap.largest_free(), heap.size());
    }

    FirstFitHeap heap;

  private:
    std::vector<std::byte> memory_;
};

TEST_F(HeapTest, GivesAlignedPieces) {
    for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        void* const piece = heap.allocate(24, alignment);
        ASSERT_NE(piece, nullptr);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(piece) % std::max<std::size_t>(alignment, 16), 0u);
        EXPECT_EQ(heap.free(piece, 24), FreeResult::freed);
    }
    expect_initial_state();
    EXPECT_EQ(heap.allocate(8, 3), nullptr);
}

TEST_F(HeapTest, TakesTheFirstBlockThatFits) {
    void* const first = heap.allocate(100);
    void* const second = heap.allocate(1000);
    void* const third = heap.allocate(100);
    EXPECT_LT(first, second);
    EXPECT_LT(second, third);
    heap.free(second);
    EXPECT_EQ(heap.allocate(500), second);
    heap.free(first);
    EXPECT_EQ(heap.allocate(64), first);
}

TEST_F(HeapTest, JoinsNeighboursWhicheverIsFreedFirst) {
    for (int order = 0; order < 6; ++order) {
        void* pieces[3] = {heap.allocate(100), heap.allocate(200), heap.allocate(300)};
        const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        for (const int index : orders[order]) EXPECT_EQ(heap.free(pieces[index]), FreeResult::freed);
        expect_initial_state();
    }
}

TEST_F(HeapTest, SaysWhenItIsExhausted) {
    std::vector<void*> pieces;
    while (void* piece = heap.allocate(1000)) pieces.push_back(piece);
    EXPECT_GT(pieces.size(), 60u);
    EXPECT_EQ(heap.allocate(1000), nullptr);
    EXPECT_EQ(heap.allocate(heap.size()), nullptr);
    EXPECT_EQ(heap.allocate(~std::size_t{0}), nullptr);
    EXPECT_EQ(heap.allocate(16, std::size_t{1} << 63), nullptr);
    for (void* piece : pieces) heap.free(piece);
    expect_initial_state();
    void* const whole = heap.allocate(heap.size() - 16);
    ASSERT_NE(whole, nullptr);
    EXPECT_EQ(heap.free_blocks(), 0u);
    EXPECT_EQ(heap.allocate(1), nullptr);
    heap.free(whole, heap.size() - 16);
    expect_initial_state();
}

TEST_F(HeapTest, NoticesWhatItDidNotHandOut) {
    auto* const piece = static_cast<std::byte*>(heap.allocate(100));
    std::memset(piece, 0x5a, 100);
    EXPECT_EQ(heap.free(piece + 16), FreeResult::not_allocated);
    EXPECT_EQ(heap.free(piece + 1), FreeResult::not_allocated);
    EXPECT_EQ(heap.free(piece, 99), FreeResult::wrong_size);
    EXPECT_EQ(heap.free(nullptr), FreeResult::freed);
    EXPECT_EQ(heap.allocations(), 1u);
    EXPECT_EQ(heap.free(piece, 100), FreeResult::freed);
    EXPECT_EQ(heap.free(piece, 100), FreeResult::not_allocated);
    expect_initial_state();
}

TEST_F(HeapTest, UsesEveryRegionAndIgnoresScraps) {
    std::vector<std::byte> more(4096);
    heap.add_region({align(more.data()), 31});
    EXPECT_EQ(heap.free_blocks(), 1u);
    heap.add_region({align(more.data()) + 1, 1024});
    EXPECT_EQ(heap.size(), region - 64 + 1008);
    EXPECT_EQ(heap.free_blocks(), 2u);
    void* const large = heap.allocate(region - 64 - 16);
    void* const small = heap.allocate(1008 - 16);
    EXPECT_NE(large, nullptr);
    EXPECT_NE(small, nullptr);
    heap.free(large);
    heap.free(small);
    EXPECT_EQ(heap.free_blocks(), 2u);
}

TEST_F(HeapTest, KeepsEveryPieceIntactUnderARandomLoad) {
    struct Piece {
        unsigned char* memory;
        std::size_t size;
        unsigned char fill;
    };
    std::vector<Piece> held;
    std::mt19937 random(2);
    const auto intact = [](const Piece& piece) {
        for (std::size_t i = 0; i < piece.size; ++i)
            if (piece.memory[i] != piece.fill) return false;
        return true;
    };
    int failures = 0;
    for (int step = 0; step < 30'000; ++step) {
        if (random() % 100 < 55 || held.empty()) {
            const std::size_t size = random() % 16 == 0 ? random() % 8000 : random() % 200;
            const std::size_t alignment = std::size_t{1} << random() % 9;
            auto* const memory = static_cast<unsigned char*>(heap.allocate(size, alignment));
            if (memory == nullptr) {
                ++failures;
                continue;
            }
            ASSERT_EQ(reinterpret_cast<std::uintptr_t>(memory) % alignment, 0u);
            held.push_back({memory, size, static_cast<unsigned char>(random())});
            std::memset(memory, held.back().fill, size);
        } else {
            std::swap(held[random() % held.size()], held.back());
            ASSERT_TRUE(intact(held.back()));
            ASSERT_EQ(heap.free(held.back().memory, random() % 2 ? held.back().size : 0), FreeResult::freed);
            held.pop_back();
        }
        ASSERT_EQ(heap.allocations(), held.size());
    }
    EXPECT_GT(failures, 0) << "the load should reach the heap's limit";
    for (const Piece& piece : held) {
        ASSERT_TRUE(intact(piece));
        heap.free(piece.memory);
    }
    expect_initial_state();
}

TEST(GrowingHeap, TakesFramesAsItNeedsThemAndSaysWhenThereAreNone) {
    constexpr std::size_t frames = 200;
    std::vector<std::byte> memory((frames + 1) * frame_size);
    const auto start =
        (reinterpret_cast<std::uintptr_t>(memory.data()) + frame_size - 1) / frame_size * frame_size;
    std::uint64_t bitmap[FrameAllocator::bitmap_bytes(frames) / 8];
    FrameAllocator allocator;
    ASSERT_TRUE(allocator.add_region(start, frames, bitmap));
    ASSERT_TRUE(allocator.release(start, frames));

    static HeapFaultKind fault;
    GrowingHeap heap(allocator, [](const HeapFault& found) { fault = found.kind; });
    const auto allocate = [&](std::size_t size, std::size_t alignment) {
        return heap.allocate(size, alignment, 0);
    };
    void* const small = allocate(16, 16);
    ASSERT_NE(small, nullptr);
    EXPECT_EQ(heap.usage().heap_size, GrowingHeap::growth);
    EXPECT_NE(allocate(400 * 1024, 4096), nullptr);
    EXPECT_EQ(allocate(400 * 1024, 4096), nullptr);
    EXPECT_EQ(allocate(~std::size_t{0}, 16), nullptr);
    EXPECT_NE(allocate(60 * 1024, 16), nullptr) << "less than a whole growth is left, but enough";
    EXPECT_EQ(heap.usage().heap_allocations, 3U);
    heap.free(small, 8, 16, 0);
    EXPECT_EQ(fault, HeapFaultKind::wrong_size);
    heap.free(small, GrowingHeap::unknown_size, 16, 0);
    EXPECT_EQ(heap.usage().heap_allocations, 2U);
    heap.free(small, 16, 16, 0);
    EXPECT_EQ(fault, HeapFaultKind::foreign_pointer);
}

}  // namespace
}  // namespace exo::guest
