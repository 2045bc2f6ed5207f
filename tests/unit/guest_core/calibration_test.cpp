#include "guest/drivers/clock/calibration.h"

#include <gtest/gtest.h>

#include "tests/unit/guest_core/fake_registers.h"

namespace exo::guest {
namespace {

/// Simulated time in picoseconds; every look at a counter costs some.
std::uint64_t now_ps = 0;
std::uint64_t tsc_frequency = 0;
std::uint64_t other_frequency = 0;
std::uint64_t access_cost_ps = 0;

std::uint64_t ticks(std::uint64_t frequency) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>(Wide{now_ps} * frequency / 1'000'000'000'000);
}
std::uint64_t read_tsc() {
    return ticks(tsc_frequency);
}
std::uint32_t read_other() {
    return static_cast<std::uint32_t>(ticks(other_frequency));
}

class SimulatedCounter final : public ReferenceCounter {
  public:
    SimulatedCounter(std::uint64_t frequency, std::uint64_t modulus)
        : frequency_(frequency), modulus_(modulus) {}
    std::uint64_t frequency() const override { return frequency_; }
    std::uint64_t modulus() const override { return modulus_; }
    std::uint64_t read() override {
        now_ps += access_cost_ps;
        if (now_ps > disturb_at_ps) {
            now_ps += 50'000'000'000;  // the host took the processor away for 50 ms
            disturb_at_ps = ~std::uint64_t{0};
        }
        return ticks(frequency_) % modulus_;
    }
    std::uint64_t disturb_at_ps = ~std::uint64_t{0};

  private:
    std::uint64_t frequency_, modulus_;
};

struct Case {
    std::uint64_t tsc, other, reference, modulus, access_cost_ps;
};

class Calibration : public ::testing::TestWithParam<Case> {
  protected:
    void SetUp() override {
        now_ps = 123'456'789'000;
        tsc_frequency = GetParam().tsc;
        other_frequency = GetParam().other;
        access_cost_ps = GetParam().access_cost_ps;
    }
    void expect_close(std::uint64_t got, std::uint64_t wanted) {
        EXPECT_NEAR(static_cast<double>(got), static_cast<double>(wanted),
                    static_cast<double>(wanted) * 0.002);
    }
};

TEST_P(Calibration, FindsTheFrequencies) {
    SimulatedCounter counter(GetParam().reference, GetParam().modulus);
    const auto found = measure_frequencies(counter, {read_tsc, read_other});
    ASSERT_TRUE(found);
    expect_close(found->timestamp, tsc_frequency);
    expect_close(found->other, other_frequency);
}

INSTANTIATE_TEST_SUITE_P(Machines, Calibration,
                         ::testing::Values(Case{2'096'000'000, 1'000'000'000, 3'579'545, 1 << 24, 700'000},
                                           Case{50'000'000, 50'000'000, 1'193'182, 1 << 16, 200'000},
                                           Case{3'000'000'000, 24'000'000, 1'193'182, 1 << 16, 3'000'000},
                                           Case{2'400'000'000, 1'000'000'000, 3'579'545, 1 << 24,
                                                60'000'000}));

TEST(CalibrationFaults, IsNotMisledByOneDisturbance) {
    now_ps = 0;
    tsc_frequency = 2'000'000'000;
    other_frequency = 100'000'000;
    access_cost_ps = 1'000'000;
    SimulatedCounter counter(1'193'182, 1 << 16);  // wraps within the disturbance, so its window is wrong
    counter.disturb_at_ps = 7'000'000'000;
    const auto found = measure_frequencies(counter, {read_tsc, read_other});
    ASSERT_TRUE(found);
    EXPECT_NEAR(static_cast<double>(found->timestamp), 2e9, 4e6);
}

TEST(CalibrationFaults, GivesUpOnACounterThatStandsStill) {
    FakeRegisters registers;
    registers.on_read = [](std::uint64_t) { return 0; };
    PmTimer timer(registers);
    EXPECT_FALSE(measure_frequencies(timer, {read_tsc, read_other}));
    FakeRegisters nothing;
    PitCounter pit(nothing);
    EXPECT_FALSE(measure_frequencies(pit, {read_tsc, read_other}));
}

TEST(ReferenceCounter, PmTimerHas24Bits) {
    FakeRegisters registers;
    registers.values[0] = 0xab12'3456;
    PmTimer timer(registers);
    EXPECT_EQ(timer.read(), 0x12'3456u);
}

TEST(ReferenceCounter, PitCountsUpFromItsDownwardCount) {
    FakeRegisters ports;
    PitCounter pit(ports);
    std::uint64_t bytes[] = {0x34, 0xff, 0x00, 0x00};
    unsigned next = 0;
    ports.on_read = [&](std::uint64_t port) { return port == 0x42 ? bytes[next++] : 0; };
    EXPECT_EQ(pit.read(), 0x10000u - 0xff34u);
    EXPECT_EQ(pit.read(), 0u);
    EXPECT_EQ(ports.writes.back(), std::pair(std::uint64_t{0x43}, std::uint64_t{0x80}))
        << "the count is latched";
}

TEST(TickScale, ConvertsWithoutDrift) {
    for (const std::uint64_t frequency : {1'000'000ull, 50'000'000ull, 2'096'123'456ull, 10'000'000'000ull}) {
        const TickScale scale(frequency);
        EXPECT_EQ(scale.to_ns(0), 0u);
        // A day: off by less than a millisecond.
        EXPECT_NEAR(static_cast<double>(scale.to_ns(86'400 * frequency)), 86'400e9, 1e6) << frequency;
        EXPECT_LE(scale.to_ns(frequency), 1'000'000'000u);
        EXPECT_GE(scale.to_ns(frequency), 999'999'990u);
    }
}

TEST(TickScale, CountsTicksInATime) {
    EXPECT_EQ(ticks_in(1'500'000'000, 2'000'000'000), 3'000'000'000u);
    EXPECT_EQ(ticks_in(1, 2'000'000'000), 2u);
    EXPECT_EQ(ticks_in(999'999'999, 10'000'000'000), 9'999'999'990u);
    EXPECT_EQ(ticks_in(~0ull, 10'000'000'000), ~0ull);
}

}  // namespace
}  // namespace exo::guest
