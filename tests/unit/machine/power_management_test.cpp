#include "vmm/machine/power_management.h"

#include <gtest/gtest.h>

#include "tests/unit/machine/fakes.h"

namespace exo::vmm {
namespace {

using namespace std::chrono_literals;
using test::read_value;
using test::write_value;

class PowerManagementTest : public testing::Test {
  protected:
    /// As OVMF's PlatformPei: base, then the enable bit.
    void enable(std::uint32_t base) {
        function_.write_config(0x40, 4, base | 1);
        function_.write_config(0x80, 1, 1);
    }

    test::FakeClock clock_;
    test::RecordedEvents events_;
    test::RecordedLine sci_;
    IoBus ports_;
    PmTimer timer_{clock_};
    PowerManagementRegisters registers_{timer_, events_, sci_};
    PowerManagement function_{ports_, registers_, timer_};
};

TEST_F(PowerManagementTest, IdentityAndBase) {
    EXPECT_EQ(function_.read_config(0, 4), 0x7113'8086u);
    EXPECT_EQ(function_.read_config(0x08, 4) >> 8, 0x06'80'00u);
    EXPECT_EQ(function_.read_config(0x40, 4), 1u);
    function_.write_config(0x40, 4, 0xffff'ffff);
    EXPECT_EQ(function_.read_config(0x40, 4), 0xffc1u);
    function_.write_config(0x80, 4, 0xffff'ffff);
    EXPECT_EQ(function_.read_config(0x80, 4), 1u);
}

TEST_F(PowerManagementTest, AnswersOnceEnabledAndMoves) {
    EXPECT_EQ(read_value(ports_, 0xb004, 2), 0xffffu);
    function_.write_config(0x40, 4, 0xb001);
    EXPECT_EQ(read_value(ports_, 0xb004, 2), 0xffffu) << "not enabled";
    function_.write_config(0x80, 1, 1);
    EXPECT_EQ(read_value(ports_, 0xb004, 2), 0u);
    EXPECT_EQ(read_value(ports_, 0xb008, 4), 0u);
    enable(0xb100);
    EXPECT_EQ(read_value(ports_, 0xb004, 2), 0xffffu);
    EXPECT_EQ(read_value(ports_, 0xb104, 2), 0u);
    function_.write_config(0x80, 1, 0);
    EXPECT_EQ(read_value(ports_, 0xb108, 4), 0xffff'ffffu);
}

TEST_F(PowerManagementTest, TimerCountsAt3579545HertzIn24Bits) {
    enable(0xb000);
    clock_.pass(1s);
    EXPECT_EQ(read_value(ports_, 0xb008, 4), 3'579'545u);
    clock_.pass(1us);
    EXPECT_EQ(read_value(ports_, 0xb008, 4), 3'579'548u);
    clock_.pass(9s);
    EXPECT_EQ(read_value(ports_, 0xb008, 4), (35'795'450u + 3) & 0xff'ffff);
    EXPECT_EQ(read_value(ports_, 0xb009, 1), ((35'795'450u + 3) >> 8) & 0xff);
    write_value(ports_, 0xb008, 4, 0);
    EXPECT_EQ(read_value(ports_, 0xb008, 4), (35'795'450u + 3) & 0xff'ffff);
    clock_.pass(24h * 365 * 100);
    EXPECT_EQ(timer_.ticks(), 3'579'545ull * (3600ull * 24 * 365 * 100 + 10) + 3)
        << "no overflow in a century";
}

TEST_F(PowerManagementTest, TimerStatusFollowsItsTopBit) {
    enable(0xb000);
    EXPECT_EQ(read_value(ports_, 0xb000, 2), 0u);
    clock_.pass(2344ms);
    EXPECT_EQ(read_value(ports_, 0xb000, 2), 1u) << "bit 23 became one";
    write_value(ports_, 0xb000, 2, 0);
    EXPECT_EQ(read_value(ports_, 0xb000, 2), 1u);
    write_value(ports_, 0xb000, 2, 1);
    EXPECT_EQ(read_value(ports_, 0xb000, 2), 0u);
    clock_.pass(2344ms);
    EXPECT_EQ(read_value(ports_, 0xb000, 2), 1u) << "and zero again";
}

TEST_F(PowerManagementTest, SciFollowsStatusAndEnable) {
    enable(0xb000);
    write_value(ports_, 0xb002, 2, 0xffff);
    EXPECT_EQ(read_value(ports_, 0xb002, 2), 0x0521u);
    EXPECT_FALSE(sci_.asserted);
    clock_.pass(2344ms);
    read_value(ports_, 0xb000, 2);
    EXPECT_TRUE(sci_.asserted);
    write_value(ports_, 0xb000, 4, 0x0000'0001);
    EXPECT_FALSE(sci_.asserted);
    EXPECT_EQ(read_value(ports_, 0xb002, 2), 0u) << "one access wrote both halves";
}

TEST_F(PowerManagementTest, ControlRegisterAsOvmfUsesIt) {
    enable(0xb000);
    write_value(ports_, 0xb004, 2, 1);
    EXPECT_EQ(read_value(ports_, 0xb004, 2), 1u) << "SCI_EN";
    EXPECT_EQ(read_value(ports_, 0xb004, 4), 0xffff'0001u);
    EXPECT_EQ(read_value(ports_, 0xb005, 1), 0u);
    EXPECT_EQ(read_value(ports_, 0xb006, 2), 0xffffu);
    EXPECT_EQ(read_value(ports_, 0xb010, 4), 0xffff'ffffu);

    write_value(ports_, 0xb004, 2, 0x2001);
    EXPECT_EQ(events_.power_offs, 1);
    EXPECT_EQ(read_value(ports_, 0xb004, 2), 1u) << "SLP_EN reads as zero";
}

TEST_F(PowerManagementTest, OnlySoftOffIsASleepState) {
    enable(0xb000);
    write_value(ports_, 0xb004, 2, 0x2401);
    write_value(ports_, 0xb004, 2, 0x1c01);
    EXPECT_EQ(events_.power_offs, 0);
    write_value(ports_, 0xb005, 1, 0x20);
    EXPECT_EQ(events_.power_offs, 1) << "by a byte";
}

TEST_F(PowerManagementTest, PortsPutOnOthersHideNothing) {
    IoBus ports;
    test::RecordedHandler serial;
    ports.add_at("serial", {0x3f8, 8}, serial);
    PowerManagement function(ports, registers_, timer_);
    function.write_config(0x40, 4, 0x3c0);
    function.write_config(0x80, 1, 1);
    EXPECT_EQ(read_value(ports, 0x3c4, 2), 0u);
    EXPECT_EQ(read_value(ports, 0x3fd, 1), 5u);
    EXPECT_EQ(serial.accesses.size(), 1u);
}

}  // namespace
}  // namespace exo::vmm
