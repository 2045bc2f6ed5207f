#include "guest/memory/frame_allocator.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <random>
#include <vector>

namespace exo::guest {
namespace {

constexpr std::uint64_t mib = 1 << 20;

/// An allocator over made-up memory; nothing of that memory exists.
class Frames {
  public:
    FrameAllocator allocator;

    void add(std::uint64_t start, std::uint64_t frames) {
        bitmaps_.push_back(std::vector<std::uint64_t>(FrameAllocator::bitmap_bytes(frames) / 8));
        ASSERT_TRUE(allocator.add_region(start, frames, bitmaps_.back().data()));
    }
    void add_free(std::uint64_t start, std::uint64_t frames) {
        add(start, frames);
        ASSERT_TRUE(allocator.release(start, frames));
    }

  private:
    std::vector<std::vector<std::uint64_t>> bitmaps_;
};

TEST(FrameAllocator, StartsWithEverythingTaken) {
    Frames frames;
    frames.add(1 * mib, 100);
    EXPECT_EQ(frames.allocator.total_frames(), 100u);
    EXPECT_EQ(frames.allocator.free_frames(), 0u);
    EXPECT_FALSE(frames.allocator.allocate(1));
}

TEST(FrameAllocator, TakesTheLowestRunOfTheHighestRegion) {
    Frames frames;
    frames.add_free(1 * mib, 256);
    frames.add_free(4096 * mib, 256);
    EXPECT_EQ(frames.allocator.allocate(1), 4096 * mib);
    EXPECT_EQ(frames.allocator.allocate(255), 4096 * mib + frame_size);
    EXPECT_EQ(frames.allocator.allocate(256), 1 * mib);
    EXPECT_FALSE(frames.allocator.allocate(1));
}

TEST(FrameAllocator, KeepsBelowALimit) {
    Frames frames;
    frames.add_free(0, 32);
    frames.add_free(4096 * mib, 256);
    EXPECT_EQ(frames.allocator.allocate(4, {.below = 4096 * mib}), 0u);
    EXPECT_EQ(frames.allocator.allocate(4, {.below = 8 * frame_size}), 4 * frame_size);
    EXPECT_FALSE(frames.allocator.allocate(1, {.below = 8 * frame_size}));
    EXPECT_FALSE(frames.allocator.allocate(1, {.below = 8 * frame_size + 4095}));
    EXPECT_EQ(frames.allocator.allocate(1, {.below = 9 * frame_size}), 8 * frame_size);
    EXPECT_FALSE(frames.allocator.allocate(1, {.below = 0}));
}

TEST(FrameAllocator, AlignsByPhysicalAddress) {
    Frames frames;
    frames.add_free(1 * mib + frame_size, 2048);
    EXPECT_EQ(frames.allocator.allocate(1, {.alignment = 2 * mib}), 2 * mib);
    EXPECT_EQ(frames.allocator.allocate(512, {.alignment = 2 * mib}), 4 * mib);
    EXPECT_EQ(frames.allocator.allocate(1), 1 * mib + frame_size);
    EXPECT_FALSE(frames.allocator.allocate(1, {.alignment = 1024 * mib}));
    EXPECT_FALSE(frames.allocator.allocate(1, {.alignment = 3 * frame_size}));
    EXPECT_FALSE(frames.allocator.allocate(1, {.alignment = 64}));
}

TEST(FrameAllocator, RefusesToReleaseWhatIsNotTaken) {
    Frames frames;
    frames.add_free(1 * mib, 128);
    const std::uint64_t start = frames.allocator.allocate(10).value();
    EXPECT_FALSE(frames.allocator.release(start + 9 * frame_size, 2));  // the second one is free
    EXPECT_FALSE(frames.allocator.release(start + 1, 1));
    EXPECT_FALSE(frames.allocator.release(start, 0));
    EXPECT_FALSE(frames.allocator.release(0, 1));
    EXPECT_FALSE(frames.allocator.release(1 * mib, 129));
    EXPECT_FALSE(frames.allocator.release(1 * mib, ~0ull));
    EXPECT_EQ(frames.allocator.free_frames(), 118u);
    EXPECT_TRUE(frames.allocator.release(start, 10));
    EXPECT_FALSE(frames.allocator.release(start, 10));
    EXPECT_EQ(frames.allocator.free_frames(), 128u);
}

TEST(FrameAllocator, RefusesImpossibleRegions) {
    std::uint64_t bitmap[4] = {};
    FrameAllocator allocator;
    EXPECT_FALSE(allocator.add_region(1, 1, bitmap));
    EXPECT_FALSE(allocator.add_region(0, 0, bitmap));
    EXPECT_FALSE(allocator.add_region(~0ull - 4095, 2, bitmap));
    EXPECT_TRUE(allocator.add_region(8 * frame_size, 8, bitmap));
    EXPECT_FALSE(allocator.add_region(15 * frame_size, 8, bitmap));
    EXPECT_FALSE(allocator.add_region(0, 1, bitmap));
    for (std::size_t i = 1; i < FrameAllocator::max_regions; ++i)
        EXPECT_TRUE(allocator.add_region(16 * i * frame_size, 8, bitmap));
    EXPECT_FALSE(allocator.add_region(1024 * mib, 8, bitmap));
}

TEST(FrameAllocator, RefusesToAllocateNothing) {
    Frames frames;
    frames.add_free(1 * mib, 8);
    EXPECT_FALSE(frames.allocator.allocate(0));
    EXPECT_FALSE(frames.allocator.allocate(~0ull));
}

/// What the allocator should do, frame by frame.
class Model {
  public:
    Model(std::uint64_t start, std::uint64_t frames) : start_(start), taken_(frames, false) {}

    std::optional<std::uint64_t> allocate(std::uint64_t count, std::uint64_t alignment, std::uint64_t below) {
        for (std::uint64_t first = 0; first + count <= taken_.size(); ++first) {
            const std::uint64_t address = start_ + first * frame_size;
            if (address % alignment != 0 || address + count * frame_size > below) continue;
            bool free = true;
            for (std::uint64_t i = 0; i < count && free; ++i) free = !taken_[first + i];
            if (!free) continue;
            for (std::uint64_t i = 0; i < count; ++i) taken_[first + i] = true;
            return address;
        }
        return std::nullopt;
    }
    void release(std::uint64_t address, std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) taken_[(address - start_) / frame_size + i] = false;
    }

  private:
    std::uint64_t start_;
    std::vector<bool> taken_;
};

TEST(FrameAllocator, AgreesWithASimpleModel) {
    constexpr std::uint64_t start = 5 * mib + 3 * frame_size;
    constexpr std::uint64_t size = 777;
    Frames frames;
    frames.add_free(start, size);
    Model model(start, size);
    std::mt19937_64 random(1);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> held;
    for (int step = 0; step < 20'000; ++step) {
        if (random() % 2 == 0 || held.empty()) {
            const std::uint64_t count = random() % 8 == 0 ? random() % 200 + 1 : random() % 4 + 1;
            const std::uint64_t alignment = frame_size << (random() % 6);
            const std::uint64_t below = random() % 4 == 0 ? start + random() % (size * frame_size) : ~0ull;
            const auto expected = model.allocate(count, alignment, below);
            const auto got = frames.allocator.allocate(count, {.alignment = alignment, .below = below});
            ASSERT_EQ(got.has_value(), expected.has_value());
            if (!got) continue;
            ASSERT_EQ(*got, *expected);
            held.emplace_back(*got, count);
        } else {
            std::swap(held[random() % held.size()], held.back());
            const auto [address, count] = held.back();
            held.pop_back();
            ASSERT_TRUE(frames.allocator.release(address, count));
            model.release(address, count);
        }
    }
    for (const auto& [address, count] : held) ASSERT_TRUE(frames.allocator.release(address, count));
    EXPECT_EQ(frames.allocator.free_frames(), size);
    EXPECT_EQ(frames.allocator.allocate(size), start);
}

}  // namespace
}  // namespace exo::guest
