#include "guest/memory/boot_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace exo::guest {
namespace {

using boot::MemoryKind;
using boot::MemoryRange;

/// Real memory of the process at its own addresses, since hosted `memory_at` is the identity; it lies above
/// 1 MiB as the bookkeeping wants.
class BootMemoryTest : public ::testing::Test {
  protected:
    static constexpr std::uint64_t frames_of_memory = 64;
    BootMemoryTest() : memory_((frames_of_memory + 1) * frame_size) {
        base = (reinterpret_cast<std::uint64_t>(memory_.data()) + frame_size - 1) / frame_size * frame_size;
    }
    MemoryRange range(std::uint64_t first_frame, std::uint64_t count, MemoryKind kind) const {
        return {base + first_frame * frame_size, count * frame_size, kind, 0};
    }

    std::uint64_t base;
    FrameAllocator frames;

  private:
    std::vector<std::byte> memory_;
};

TEST_F(BootMemoryTest, MakesUsableMemoryFreeAndKeepsTheLoaders) {
    const MemoryRange map[] = {
        {0, 16 * frame_size, MemoryKind::usable, 0}, range(0, 20, MemoryKind::usable),
        range(20, 10, MemoryKind::loader),           range(30, 4, MemoryKind::acpi_reclaimable),
        range(34, 6, MemoryKind::reserved),          range(40, 24, MemoryKind::usable),
    };
    ASSERT_TRUE(adopt_boot_memory(frames, map));
    EXPECT_EQ(frames.regions().size(), 3u) << "usable and loader memory that touch are one region";
    EXPECT_EQ(frames.total_frames(), 15u + 30 + 24) << "frame 0 is left alone";
    EXPECT_EQ(frames.free_frames(), 15u + 19 + 24) << "one frame holds the bookkeeping";

    // The kernel's image is in the middle of the loader's memory.
    EXPECT_EQ(release_loader_memory(frames, map, base + 23 * frame_size, 3 * frame_size), 7 * frame_size);
    EXPECT_EQ(frames.free_frames(), 15u + 19 + 24 + 7);
}

TEST_F(BootMemoryTest, NeverGivesOutFrameZeroOrTheBookkeeping) {
    const MemoryRange map[] = {{0, 2 * frame_size, MemoryKind::usable, 0}, range(0, 8, MemoryKind::usable)};
    ASSERT_TRUE(adopt_boot_memory(frames, map));
    std::vector<std::uint64_t> taken;
    while (const auto frame = frames.allocate(1)) taken.push_back(*frame);
    EXPECT_EQ(taken.size(), 1u + 7);
    for (const std::uint64_t frame : taken) {
        EXPECT_NE(frame, 0u);
        EXPECT_NE(frame, base) << "the bookkeeping is in the first usable frame above 1 MiB";
    }
}

TEST_F(BootMemoryTest, SaysWhenThereIsNoRoom) {
    const MemoryRange low_only[] = {{0, 128 * frame_size, MemoryKind::usable, 0}};
    EXPECT_FALSE(adopt_boot_memory(frames, low_only));
    EXPECT_FALSE(adopt_boot_memory(frames, {}));
    const MemoryRange none_usable[] = {range(0, 64, MemoryKind::loader)};
    EXPECT_FALSE(adopt_boot_memory(frames, none_usable));
}

TEST_F(BootMemoryTest, LeavesPiecesUnusedThatTheAllocatorHasNoRoomFor) {
    std::vector<MemoryRange> map;
    map.push_back(range(0, 8, MemoryKind::usable));
    for (std::uint64_t i = 0; i < 2 * FrameAllocator::max_regions; ++i)
        map.push_back({base + (1000 + 2 * i) * frame_size, frame_size, MemoryKind::usable, 0});
    ASSERT_TRUE(adopt_boot_memory(frames, map));
    EXPECT_EQ(frames.free_frames(), 7u + FrameAllocator::max_regions - 1);
}

}  // namespace
}  // namespace exo::guest
