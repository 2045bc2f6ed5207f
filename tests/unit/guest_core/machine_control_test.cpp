#include "guest/kernel/machine_control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/guest_core/fake_registers.h"

namespace exo::guest {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Pair;
using Writes = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

constexpr std::uint16_t pm1a = 0xb004, pm1b = 0xb104, smi = 0xb2;

class MachineControlTest : public ::testing::Test {
  protected:
    MachineControlTest() { control.set_ports(ports); }

    static Writes shutdown_text() {
        Writes writes;
        for (const char c : std::string("Shutdown"))
            writes.emplace_back(0x8900, static_cast<std::uint8_t>(c));
        return writes;
    }

    FakeRegisters ports;
    MachineControl control;
};

TEST_F(MachineControlTest, GivesTheStatusToTheExitPortFirst) {
    control.set_has_exit_port(true);
    control.try_end(42);
    ASSERT_FALSE(ports.writes.empty());
    EXPECT_EQ(ports.writes[0], std::pair(std::uint64_t{0x600}, std::uint64_t{42}));
}

TEST_F(MachineControlTest, SpeaksBochsWhereNothingElseIsKnown) {
    control.try_end(1);
    EXPECT_EQ(ports.writes, shutdown_text());
}

TEST_F(MachineControlTest, SwitchesOffByAcpiAndKeepsTheOtherBitsOfTheRegister) {
    ports.values[pm1a] = 0x0001 | 0x2000 | 0x0400;  // SCI on, a sleep under way by another type
    ports.values[pm1b] = 0x0002;
    control.set_acpi({.pm1a_control = pm1a, .pm1b_control = pm1b}, acpi::SleepType{.pm1a = 5, .pm1b = 2});
    control.try_end(0);
    ASSERT_GE(ports.writes.size(), 2u);
    EXPECT_EQ(ports.writes[0], std::pair(std::uint64_t{pm1a}, std::uint64_t{0x0001 | 5 << 10 | 1 << 13}));
    EXPECT_EQ(ports.writes[1], std::pair(std::uint64_t{pm1b}, std::uint64_t{0x0002 | 2 << 10 | 1 << 13}));
}

TEST_F(MachineControlTest, TurnsAcpiModeOnFirstAndWaitsForIt) {
    ports.values[pm1a] = 0;
    ports.on_write = [&](std::uint64_t port, std::uint64_t value) {
        if (port == smi && value == 0xf1) ports.values[pm1a] = 1;
    };
    control.set_acpi({.pm1a_control = pm1a, .smi_command = smi, .acpi_enable = 0xf1}, acpi::SleepType{});
    control.try_end(0);
    ASSERT_GE(ports.writes.size(), 2u);
    EXPECT_EQ(ports.writes[0].first, smi);
    EXPECT_EQ(ports.writes[1], std::pair(std::uint64_t{pm1a}, std::uint64_t{1 | 1 << 13}));
}

TEST_F(MachineControlTest, GoesOnWhenAcpiModeNeverComes) {
    ports.values[pm1a] = 0;
    control.set_acpi({.pm1a_control = pm1a, .smi_command = smi, .acpi_enable = 0xf1}, acpi::SleepType{});
    control.try_end(0);
    EXPECT_THAT(ports.writes, Contains(Pair(pm1a, 1 << 13)));
}

TEST_F(MachineControlTest, DoesNothingBeforeItHasPorts) {
    MachineControl early;
    early.try_end(1);
    early.try_restart();
}

TEST_F(MachineControlTest, RestartsByPortCf9ThenTheKeyboardController) {
    control.try_restart();
    EXPECT_THAT(ports.writes, ElementsAre(Pair(0xcf9, 0x02), Pair(0xcf9, 0x06), Pair(0x64, 0xfe)));
}

TEST_F(MachineControlTest, RestartsByTheResetRegisterFirst) {
    using Space = acpi::GenericAddress::Space;
    control.set_acpi({.reset_register = acpi::GenericAddress{Space::io, 0x1234}, .reset_value = 0x77}, {});
    control.try_restart();
    ASSERT_FALSE(ports.writes.empty());
    EXPECT_EQ(ports.writes[0], std::pair(std::uint64_t{0x1234}, std::uint64_t{0x77}));
}

TEST_F(MachineControlTest, ReachesAResetRegisterInPciConfiguration) {
    using Space = acpi::GenericAddress::Space;
    // Device 0x1f, function 3, offset 0x46.
    control.set_acpi(
        {.reset_register = acpi::GenericAddress{Space::pci_configuration, 0x1f'0003'0046}, .reset_value = 9},
        {});
    control.try_restart();
    ASSERT_GE(ports.writes.size(), 2u);
    EXPECT_EQ(ports.writes[0], std::pair(std::uint64_t{0xcf8}, std::uint64_t{0x8000'fb44}));
    EXPECT_EQ(ports.writes[1], std::pair(std::uint64_t{0xcfe}, std::uint64_t{9}));
}

}  // namespace
}  // namespace exo::guest
