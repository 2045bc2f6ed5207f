#include "guest/memory/hybrid_heap.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/unit/memory/hosted_heap.h"

namespace exo::guest {
namespace {

std::vector<HeapFault>& faults() {
    static std::vector<HeapFault> found;
    return found;
}

/// Two pieces of memory with a hole between; "physical" addresses are those of this process.
template <class Heap>
class HybridHeapTest : public testing::Test {
  protected:
    static constexpr std::uint64_t mib = 1 << 20;

    HybridHeapTest() {
        faults().clear();
        add(0, 4 * mib);
        add(6 * mib, 10 * mib);
    }

    void add(std::uint64_t offset, std::uint64_t size) {
        const std::uint64_t start = reinterpret_cast<std::uintptr_t>(memory_.data()) + offset;
        auto& bitmap = bitmaps_.emplace_back(FrameAllocator::bitmap_bytes(size / frame_size) / 8);
        EXPECT_TRUE(frames_.add_region(start, size / frame_size, bitmap.data()));
        EXPECT_TRUE(frames_.release(start, size / frame_size));
    }
    void start() { ASSERT_TRUE(heap_.start(2)); }
    void* allocate(std::size_t size, std::size_t alignment = 8) { return heap_.allocate(size, alignment, 1); }
    void free(void* pointer, std::size_t size, std::size_t alignment = 8) {
        heap_.free(pointer, size, alignment, 2);
    }

    Mapping memory_{16 * mib};
    std::vector<std::vector<std::uint64_t>> bitmaps_;
    FrameAllocator frames_;
    Heap heap_{frames_, [](const HeapFault& fault) { faults().push_back(fault); }};
};

using Heaps = testing::Types<HybridHeap<false>, HybridHeap<true>>;
TYPED_TEST_SUITE(HybridHeapTest, Heaps);

TYPED_TEST(HybridHeapTest, HasNothingBeforeItsStart) {
    EXPECT_EQ(this->allocate(8), nullptr);
    EXPECT_EQ(this->heap_.statistics().buddy.managed_pages, 0U);
}

TYPED_TEST(HybridHeapTest, TakesAllFreeFramesAcrossHoles) {
    this->start();
    const auto buddy = this->heap_.statistics().buddy;
    EXPECT_EQ(buddy.managed_pages + this->heap_.bookkeeping_pages(), 14 * 256U);
    EXPECT_LE(this->heap_.bookkeeping_pages(), 14 * 256U / 32);
}

TYPED_TEST(HybridHeapTest, NoMemoryIsAnError) {
    FrameAllocator none;
    TypeParam heap(none, nullptr);
    EXPECT_FALSE(heap.start(1));
}

TYPED_TEST(HybridHeapTest, ServesEverySizeAndComesBackWhole) {
    this->start();
    const auto initial = this->heap_.statistics().buddy.free_blocks;
    for (int round = 0; round < 3; ++round) {
        std::vector<std::pair<void*, std::size_t>> live;
        for (std::size_t size = 0; size < 20'000; size += 1 + size / 7) {
            for (std::size_t alignment = 1; alignment <= 8'192; alignment *= 4) {
                void* const memory = this->allocate(size, alignment);
                ASSERT_NE(memory, nullptr);
                EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % alignment, 0U);
                std::memset(memory, 1, size);
                if (size % 2 == 0) {
                    this->free(memory, size, alignment);
                } else {
                    live.emplace_back(memory, size);
                }
            }
        }
        for (const auto& [memory, size] : live) this->free(memory, TypeParam::unknown_size);
    }
    this->free(nullptr, 8);
    this->heap_.trim();
    EXPECT_EQ(this->heap_.statistics().buddy.free_blocks, initial);
    EXPECT_TRUE(faults().empty());
}

TYPED_TEST(HybridHeapTest, FramesComeFromTheSameBuddy) {
    this->start();
    FrameAllocator& frames = this->frames_;
    const std::uint64_t middle = frames.regions()[1].start;
    const auto initial = this->heap_.statistics().buddy.free_blocks;
    const std::uint64_t free = frames.free_frames();
    EXPECT_EQ(free, this->heap_.statistics().buddy.free_pages);
    const auto low = frames.allocate(5, {.alignment = 65'536, .below = middle});
    ASSERT_TRUE(low);
    EXPECT_EQ(frames.free_frames(), free - 5);
    EXPECT_EQ(*low % 65'536, 0U);
    EXPECT_LE(*low + 5 * frame_size, middle);
    EXPECT_FALSE(frames.release(*low, 4));
    EXPECT_FALSE(frames.release(*low + frame_size, 4));
    EXPECT_TRUE(frames.release(*low, 5));
    EXPECT_FALSE(frames.release(*low, 5));
    EXPECT_FALSE(frames.allocate(1'000'000));
    EXPECT_FALSE(frames.allocate(1, {.below = frame_size}));
    EXPECT_EQ(this->heap_.statistics().buddy.free_blocks, initial);
}

TYPED_TEST(HybridHeapTest, TakesWhatBecomesFreeLater) {
    const auto early = this->frames_.allocate(10);
    ASSERT_TRUE(early);
    this->start();
    const std::uint64_t before = this->frames_.free_frames();
    EXPECT_TRUE(this->frames_.release(*early, 10));
    EXPECT_EQ(this->frames_.free_frames(), before + 10);
    EXPECT_EQ(this->heap_.statistics().buddy.free_pages, before + 10);
}

TYPED_TEST(HybridHeapTest, ExhaustionIsNullAndRecovers) {
    this->start();
    std::vector<void*> live;
    while (void* memory = this->allocate(1'000)) live.push_back(memory);
    EXPECT_GT(live.size(), 6'000U);
    EXPECT_FALSE(this->frames_.allocate(1));
    for (void* memory : live) this->free(memory, 1'000);
    EXPECT_NE(this->allocate(3'000'000), nullptr);
}

TYPED_TEST(HybridHeapTest, ChecksOnlyWhereAskedFor) {
    this->start();
    this->allocate(100);
    std::array<LeakSite, 4> sites;
    const std::size_t found = this->heap_.leaks(0, sites);
    if constexpr (std::is_same_v<TypeParam, HybridHeap<true>>) {
        EXPECT_EQ(found, 1U);
        int local = 0;
        this->free(&local, 4);
        EXPECT_EQ(faults().size(), 1U);
    } else {
        EXPECT_EQ(found, 0U);
    }
}

TEST(HybridHeapSpan, MemoryBehindAHugeHoleIsLeftAlone) {
    FrameAllocator frames;
    Mapping memory(16 << 20);
    const auto start = reinterpret_cast<std::uintptr_t>(memory.data());
    std::vector<std::uint64_t> low(64);
    std::vector<std::uint64_t> high(1);
    ASSERT_TRUE(frames.add_region(start, 4096, low.data()));
    ASSERT_TRUE(frames.release(start, 4096));
    ASSERT_TRUE(frames.add_region(start + (std::uint64_t{1} << 40), 16, high.data()));
    ASSERT_TRUE(frames.release(start + (std::uint64_t{1} << 40), 16));
    HybridHeap<false> heap(frames, nullptr);
    // The first frames that are asked for must be those that exist.
    const auto beyond = frames.allocate(16);
    ASSERT_TRUE(beyond);
    ASSERT_TRUE(heap.start(1));
    EXPECT_LE(heap.allocator()->map().size(), 4096U + 256);
    const std::uint64_t kept = heap.statistics().buddy.free_pages;
    ASSERT_TRUE(frames.release(*beyond, 16));
    EXPECT_EQ(heap.statistics().buddy.free_pages, kept);
    EXPECT_EQ(frames.free_frames(), kept + 16);
    const auto again = frames.allocate(16);
    EXPECT_EQ(again.value_or(0), *beyond);
}

}  // namespace
}  // namespace exo::guest
