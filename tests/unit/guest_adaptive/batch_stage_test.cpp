#include "guest/drivers/adaptive/batch_stage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

namespace exo::guest {
namespace {

using Sectors = std::vector<std::uint64_t>;

class BatchStageTest : public testing::Test {
  protected:
    BlockRequest& request(BlockOperation operation, std::uint64_t sector, std::uint32_t sectors = 8) {
        segments.push_back({nullptr, 0x10'0000 + 4096 * segments.size(), sectors * sector_size});
        BlockRequest& made = requests.emplace_back();
        made.operation = operation;
        made.sector = sector;
        if (operation != BlockOperation::flush) made.segments = {&segments.back(), 1};
        return made;
    }
    BlockRequest& read(std::uint64_t sector, std::uint32_t sectors = 8) {
        return request(BlockOperation::read, sector, sectors);
    }
    BlockRequest& write(std::uint64_t sector, std::uint32_t sectors = 8) {
        return request(BlockOperation::write, sector, sectors);
    }

    std::vector<std::uint64_t> sectors_of(std::span<BlockRequest* const> arranged) {
        std::vector<std::uint64_t> found;
        for (const BlockRequest* each : arranged) found.push_back(each->sector);
        return found;
    }

    DiskInfo info{.driver = "test", .sectors = 1 << 20, .max_transfer = 64 * 1024, .max_segments = 16};
    std::deque<DmaSpan> segments;
    std::deque<BlockRequest> requests;
    BatchStage stage{info};
};

TEST_F(BatchStageTest, SortsBySector) {
    for (const std::uint64_t sector : Sectors{500, 100, 300, 900}) ASSERT_TRUE(stage.add(read(sector)));
    EXPECT_EQ(stage.waiting(), 4u);
    EXPECT_EQ(sectors_of(stage.arrange()), (Sectors{100, 300, 500, 900}));
}

TEST_F(BatchStageTest, JoinsNeighboursWithAllTheirSegmentsInOrder) {
    for (const std::uint64_t sector : Sectors{16, 0, 8, 100}) stage.add(read(sector));
    const auto arranged = stage.arrange();
    ASSERT_EQ(sectors_of(arranged), (Sectors{0, 100}));
    ASSERT_EQ(arranged[0]->segments.size(), 3u);
    EXPECT_EQ(arranged[0]->segments[0].physical, segments[1].physical);
    EXPECT_EQ(arranged[0]->segments[1].physical, segments[2].physical);
    EXPECT_EQ(arranged[0]->segments[2].physical, segments[0].physical);
    EXPECT_EQ(arranged[0]->bytes(), 3u * 4096);
    EXPECT_EQ(arranged[1], &requests[3]) << "what has no neighbour goes as it is";
}

TEST_F(BatchStageTest, EndsAllPartsWithTheJoinedOne) {
    stage.add(write(0));
    stage.add(write(8));
    const auto arranged = stage.arrange();
    stage.handed_over(1);
    EXPECT_EQ(stage.waiting(), 0u);
    EXPECT_EQ(stage.collect(), 0u);
    arranged[0]->finish(BlockStatus::ok);
    EXPECT_EQ(stage.collect(), 2u);
    for (const BlockRequest& each : requests) EXPECT_EQ(each.status.load(), BlockStatus::ok);
    EXPECT_EQ(stage.collect(), 0u);
}

TEST_F(BatchStageTest, AnErrorHitsOnlyWhomItBelongsTo) {
    for (const std::uint64_t sector : Sectors{0, 8, 16}) stage.add(read(sector));
    stage.arrange()[0]->finish(BlockStatus::medium_error);
    stage.handed_over(1);
    EXPECT_EQ(stage.collect(), 0u);
    EXPECT_EQ(stage.waiting(), 3u);
    EXPECT_FALSE(requests[0].done());
    const auto again = stage.arrange();
    ASSERT_EQ(sectors_of(again), (Sectors{0, 8, 16}));
    EXPECT_EQ(again[1], &requests[1]);
}

TEST_F(BatchStageTest, AFailedDeviceIsNotAskedAgain) {
    stage.add(read(0));
    stage.add(read(8));
    stage.arrange()[0]->finish(BlockStatus::device_failed);
    stage.handed_over(1);
    EXPECT_EQ(stage.collect(), 2u);
    EXPECT_EQ(requests[1].status.load(), BlockStatus::device_failed);
}

TEST_F(BatchStageTest, NothingPassesABarrierOrAFlush) {
    stage.add(write(500));
    BlockRequest& barrier = write(300);
    barrier.barrier = true;
    stage.add(barrier);
    stage.add(write(100));
    stage.add(request(BlockOperation::flush, 0));
    stage.add(write(50));
    EXPECT_EQ(sectors_of(stage.arrange()), (Sectors{500, 300, 100, 0, 50}));
}

TEST_F(BatchStageTest, ABarrierIsNotJoined) {
    stage.add(write(0));
    BlockRequest& barrier = write(8);
    barrier.barrier = true;
    stage.add(barrier);
    stage.add(write(16));
    EXPECT_EQ(stage.arrange().size(), 3u);
}

TEST_F(BatchStageTest, OverlappingOnesKeepTheirOrderWhereOneWrites) {
    stage.add(write(104));
    stage.add(read(100));
    stage.add(read(96));
    EXPECT_EQ(sectors_of(stage.arrange()), (Sectors{104, 96, 100}));
}

TEST_F(BatchStageTest, JoinsNothingAcrossUrgencyFuaOrOperation) {
    stage.add(write(0));
    BlockRequest& urgent = write(8);
    urgent.urgency = BlockUrgency::urgent;
    stage.add(urgent);
    stage.add(write(16));
    BlockRequest& fua = write(24);
    fua.fua = true;
    stage.add(fua);
    stage.add(write(32));
    stage.add(read(40));
    EXPECT_EQ(stage.arrange().size(), 6u);
}

TEST_F(BatchStageTest, RespectsTheDisksLimits) {
    info.max_transfer = 8192;
    for (std::uint64_t i = 0; i < 4; ++i) stage.add(read(8 * i));
    EXPECT_EQ(sectors_of(stage.arrange()), (Sectors{0, 16}));
    stage.handed_over(2);
    info.max_transfer = 1 << 20;
    info.max_segments = 3;
    for (std::uint64_t i = 0; i < 4; ++i) stage.add(read(8 * i));
    EXPECT_EQ(sectors_of(stage.arrange()), (Sectors{0, 24}));
}

TEST_F(BatchStageTest, HoldsNoMoreThanItsCapacityAndKeepsWhatTheQueueDidNotTake) {
    for (std::size_t i = 0; i < BatchStage::capacity; ++i) ASSERT_TRUE(stage.add(read(100 * i)));
    EXPECT_FALSE(stage.add(read(1)));
    ASSERT_EQ(stage.arrange().size(), BatchStage::capacity);
    stage.handed_over(30);
    EXPECT_EQ(stage.waiting(), 2u);
    ASSERT_TRUE(stage.add(read(1)));
    EXPECT_EQ(sectors_of(stage.arrange()), (Sectors{3000, 3100, 1}));
}

/// Against a plain model: whatever comes, each request is carried out once, and a disk of numbers ends as if
/// they had run in the order in which they came.
TEST_F(BatchStageTest, RandomRequestsLeaveTheDiskAsInOrder) {
    std::mt19937 random(11);
    for (int round = 0; round < 500; ++round) {
        requests.clear();
        segments.clear();
        std::vector<int> expected(128, -1);
        std::vector<int> disk(128, -1);
        std::vector<const BlockRequest*> arrived;
        for (int i = 0; i < 32; ++i) {
            BlockRequest& made = write(random() % 120, 1 + random() % 8);
            made.barrier = random() % 8 == 0;
            for (std::uint64_t s = 0; s < made.bytes() / sector_size; ++s) expected[made.sector + s] = i;
            segments.back().physical = static_cast<std::uint64_t>(i);
            ASSERT_TRUE(stage.add(made));
        }
        const auto arranged = stage.arrange();
        std::size_t carried_out = 0;
        for (BlockRequest* each : arranged) {
            std::uint64_t at = each->sector;
            for (const DmaSpan& segment : each->segments) {
                ++carried_out;
                for (std::size_t s = 0; s < segment.size / sector_size; ++s)
                    disk[at++] = static_cast<int>(segment.physical);
            }
            each->finish(BlockStatus::ok);
        }
        stage.handed_over(arranged.size());
        stage.collect();
        ASSERT_EQ(carried_out, 32u);
        ASSERT_EQ(disk, expected);
        ASSERT_TRUE(std::ranges::all_of(requests, &BlockRequest::done));
    }
}

}  // namespace
}  // namespace exo::guest
