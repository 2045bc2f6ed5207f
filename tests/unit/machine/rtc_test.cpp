#include "vmm/machine/rtc.h"

#include <gtest/gtest.h>

#include "tests/unit/machine/fakes.h"

namespace exo::vmm {
namespace {

using namespace std::chrono_literals;
using test::FakeClock;
using test::read_value;
using test::write_value;

class RtcTest : public testing::Test {
  protected:
    std::uint64_t get(std::uint8_t index) {
        write_value(rtc_, 0, 1, index);
        return read_value(rtc_, 1, 1);
    }
    void set(std::uint8_t index, std::uint8_t value) {
        write_value(rtc_, 0, 1, index);
        write_value(rtc_, 1, 1, value);
    }

    FakeClock clock_{std::chrono::sys_days(std::chrono::year(2031) / 12 / 9) + 23h + 58min + 41s};
    Rtc rtc_{clock_, layout::split_ram(5 * layout::gib), 4};
};

TEST_F(RtcTest, DateInBcd) {
    EXPECT_EQ(get(0x00), 0x41u);
    EXPECT_EQ(get(0x02), 0x58u);
    EXPECT_EQ(get(0x04), 0x23u);
    EXPECT_EQ(get(0x06), 3u) << "a Tuesday";
    EXPECT_EQ(get(0x07), 0x09u);
    EXPECT_EQ(get(0x08), 0x12u);
    EXPECT_EQ(get(0x09), 0x31u);
    EXPECT_EQ(get(0x32), 0x20u);
    clock_.pass(2min);
    EXPECT_EQ(get(0x07), 0x10u);
    EXPECT_EQ(get(0x04), 0x00u);
}

TEST_F(RtcTest, DateInBinaryAndTwelveHours) {
    set(0x0b, 0x04);
    EXPECT_EQ(get(0x00), 41u);
    EXPECT_EQ(get(0x04), 0x80u | 11);
    clock_.pass(2min);
    EXPECT_EQ(get(0x04), 12u) << "midnight is 12 in the morning";
    clock_.pass(12h);
    EXPECT_EQ(get(0x04), 0x80u | 12);
}

TEST_F(RtcTest, ControlRegistersAsOvmfChecksThem) {
    EXPECT_EQ(get(0x0d), 0x80u);
    EXPECT_EQ(get(0x0a), 0x26u);
    EXPECT_EQ(get(0x0b), 0x02u);
    set(0x0a, 0xff);
    EXPECT_EQ(get(0x0a), 0x7fu) << "the guest cannot set update-in-progress";
    set(0x0b, 0x72);
    EXPECT_EQ(get(0x0b), 0x02u) << "no interrupts to enable";
    set(0x0d, 0);
    EXPECT_EQ(get(0x0d), 0x80u);
    set(0x0f, 0x55);
    EXPECT_EQ(get(0x0f), 0x55u);
    EXPECT_EQ(get(0x0f | 0x80), 0x55u) << "bit 7 masks the NMI only";
    EXPECT_EQ(read_value(rtc_, 0, 1), 0xffu) << "the index cannot be read";
}

TEST_F(RtcTest, UpdateInProgressPrecedesEachSecond) {
    EXPECT_FALSE(get(0x0a) & 0x80);
    clock_.pass(997ms);
    EXPECT_FALSE(get(0x0a) & 0x80);
    clock_.pass(1ms);
    EXPECT_TRUE(get(0x0a) & 0x80);
    EXPECT_EQ(get(0x00), 0x41u);
    clock_.pass(2ms);
    EXPECT_FALSE(get(0x0a) & 0x80);
    EXPECT_EQ(get(0x00), 0x42u);
}

TEST_F(RtcTest, RegisterCTellsOfEachSecondOnce) {
    EXPECT_EQ(get(0x0c), 0u);
    clock_.pass(1s);
    EXPECT_EQ(get(0x0c), 0x10u);
    EXPECT_EQ(get(0x0c), 0u);
}

/// As PcatRealTimeClockRuntimeDxe sets the time.
TEST_F(RtcTest, GuestSetsTheTime) {
    set(0x0b, 0x82);
    for (const auto& [index, value] : {std::pair{0x00, 0x30},
                                       {0x02, 0x00},
                                       {0x04, 0x12},
                                       {0x07, 0x29},
                                       {0x08, 0x02},
                                       {0x09, 0x28},
                                       {0x32, 0x20}})
        set(static_cast<std::uint8_t>(index), static_cast<std::uint8_t>(value));
    clock_.pass(10s - 1ms);
    EXPECT_EQ(get(0x00), 0x30u) << "stands still while it is set";
    EXPECT_FALSE(get(0x0a) & 0x80);
    set(0x0b, 0x02);
    clock_.pass(5s);
    EXPECT_EQ(get(0x00), 0x35u);
    EXPECT_EQ(get(0x07), 0x29u);
    EXPECT_EQ(get(0x08), 0x02u);
    EXPECT_EQ(get(0x09), 0x28u);
}

TEST_F(RtcTest, DateThatIsNoneIsNotTaken) {
    set(0x0b, 0x82);
    set(0x08, 0x77);
    set(0x0b, 0x02);
    EXPECT_EQ(get(0x08), 0x12u);
    set(0x07, 0x99);
    set(0x04, 0xff);
    set(0x32, 0xff);
    set(0x32, 0x99);
    set(0x32, 0x00);
    EXPECT_EQ(get(0x32), 0x20u);
    EXPECT_EQ(get(0x07), 0x09u);
    EXPECT_EQ(get(0x04), 0x23u);
    set(0x04, 0x05);
    EXPECT_EQ(get(0x04), 0x05u);
}

TEST_F(RtcTest, MemorySizes) {
    EXPECT_EQ(get(0x15) | get(0x16) << 8, 640u);
    EXPECT_EQ(get(0x17) | get(0x18) << 8, 0xffffu);
    EXPECT_EQ(get(0x34) | get(0x35) << 8, (2 * layout::gib - 16 * layout::mib) / (64 * layout::kib));
    EXPECT_EQ(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 3 * layout::gib / (64 * layout::kib));
    EXPECT_EQ(get(0x5f), 3u);

    Rtc small(clock_, layout::split_ram(64 * layout::mib), 1);
    write_value(small, 0, 1, 0x34);
    EXPECT_EQ(read_value(small, 1, 1), 0x00u);
    write_value(small, 0, 1, 0x35);
    EXPECT_EQ(read_value(small, 1, 1), 0x03u);
    write_value(small, 0, 1, 0x5b);
    EXPECT_EQ(read_value(small, 1, 1), 0u);
}

TEST_F(RtcTest, WordAccessTakesBothPorts) {
    write_value(rtc_, 0, 2, 0x550f);
    EXPECT_EQ(get(0x0f), 0x55u);
    EXPECT_EQ(read_value(rtc_, 0, 2), 0x55ffu);
}

}  // namespace
}  // namespace exo::vmm
