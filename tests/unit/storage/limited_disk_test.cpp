#include "vmm/storage/limited_disk.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/unit/devices/raw_driver.h"
#include "tests/unit/devices/scripted_disk.h"

namespace exo::test {
namespace {

using namespace std::chrono_literals;
using vmm::DiskRequest;
using vmm::LimitedDisk;

class LimitedDiskTest : public testing::Test {
  protected:
    LimitedDiskTest() { clock.advance(10s); }

    DiskRequest read(std::uint64_t cookie, std::size_t bytes = 512) {
        segment = {memory.data(), bytes};
        return {.offset = 512 * cookie, .segments = {&segment, 1}, .cookie = cookie};
    }
    std::vector<vmm::DiskCompletion> reap(LimitedDisk& limited) {
        std::array<vmm::DiskCompletion, 64> completions;
        const std::size_t count = limited.reap(completions);
        return {completions.begin(), completions.begin() + static_cast<std::ptrdiff_t>(count)};
    }

    ScriptedDisk disk{1 << 20};
    ManualClock clock;
    std::vector<std::byte> memory = std::vector<std::byte>(65536);
    iovec segment{};
};

TEST_F(LimitedDiskTest, RequestsWaitInTheirOrderAndNoneFails) {
    LimitedDisk limited(disk, clock, {.operations = 20});
    for (std::uint64_t i = 0; i < 6; ++i) {
        limited.submit(std::array{read(i)});
        segment = {};  // a waiting request has a list of its own
    }
    auto ended = reap(limited);
    EXPECT_EQ(ended.size(), 3u) << "two saved up, and the one that goes into debt";
    EXPECT_EQ(limited.delayed(), 3u);
    ASSERT_TRUE(limited.deadline());
    EXPECT_EQ(*limited.deadline(), clock.now() + 50ms);
    clock.advance(50ms - 1ns);
    EXPECT_TRUE(reap(limited).empty());
    clock.advance(1ns);
    for (const auto& completion : reap(limited)) ended.push_back(completion);
    EXPECT_EQ(ended.size(), 4u);
    clock.advance(1s);
    for (const auto& completion : reap(limited)) ended.push_back(completion);
    ASSERT_EQ(ended.size(), 6u);
    for (std::uint64_t i = 0; i < 6; ++i) {
        EXPECT_EQ(ended[i].cookie, i);
        EXPECT_EQ(ended[i].error, 0);
        EXPECT_EQ(ended[i].bytes, 512u);
    }
    EXPECT_FALSE(limited.deadline());
}

TEST_F(LimitedDiskTest, NewOnesDoNotOvertake) {
    LimitedDisk limited(disk, clock, {.operations = 10});
    limited.submit(std::array{read(0), read(1), read(2)});
    clock.advance(10s);
    limited.submit(std::array{read(3)});
    reap(limited);
    EXPECT_EQ(disk.order, (std::vector<std::uint64_t>{0, 512, 1024, 1536}));
}

TEST_F(LimitedDiskTest, BytesCountAsWell) {
    LimitedDisk limited(disk, clock, {.bytes = 65536});
    limited.submit(std::array{read(1, 65536)});
    limited.submit(std::array{read(2, 512)});
    EXPECT_EQ(reap(limited).size(), 1u);
    EXPECT_EQ(*limited.deadline(), clock.now() + 900ms);
    clock.advance(900ms);
    EXPECT_EQ(reap(limited).size(), 1u);
}

TEST_F(LimitedDiskTest, FlushIsAnOperationWithoutBytes) {
    LimitedDisk limited(disk, clock, {.operations = 1000, .bytes = 1});
    for (int i = 0; i < 50; ++i)
        limited.submit(std::array{DiskRequest{.operation = vmm::DiskOperation::flush}});
    EXPECT_EQ(reap(limited).size(), 50u);
}

TEST_F(LimitedDiskTest, CancelEndsWhatWaitsAtOnce) {
    LimitedDisk limited(disk, clock, {.operations = 1});
    disk.hold = true;
    limited.submit(std::array{read(0), read(1), read(2)});
    EXPECT_EQ(disk.held(), 1u);
    limited.cancel();
    EXPECT_FALSE(limited.deadline());
    const auto ended = reap(limited);
    ASSERT_EQ(ended.size(), 2u);
    EXPECT_EQ(ended[0].cookie, 1u);
    EXPECT_EQ(ended[0].error, ECANCELED);
    EXPECT_EQ(ended[1].cookie, 2u);
    disk.release();
    EXPECT_EQ(reap(limited).size(), 1u) << "what the medium has is not taken back";
}

}  // namespace
}  // namespace exo::test
