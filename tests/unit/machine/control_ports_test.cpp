#include "vmm/machine/control_ports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/machine/fakes.h"
#include "vmm/machine/flash.h"

namespace exo::vmm {
namespace {

using test::read_value;
using test::RecordedEvents;
using test::write_value;
using testing::ElementsAre;

TEST(ExitPort, StatusOfTheGuest) {
    RecordedEvents events;
    ExitPort port(events);
    for (const unsigned status : {0u, 3u, 124u, 126u}) write_value(port, 0, 2, status);
    EXPECT_THAT(events.exits, ElementsAre(0, 3, 124, 126));
}

TEST(ExitPort, StatusThatIsNotTheGuestsMeansItDied) {
    RecordedEvents events;
    ExitPort port(events);
    for (const unsigned status : {125u, 127u, 128u, 256u, 0xffffu}) write_value(port, 0, 2, status);
    EXPECT_THAT(events.exits, testing::Each(127));
    EXPECT_EQ(events.exits.size(), 5u);
}

TEST(ExitPort, OtherAccessesAreIgnored) {
    RecordedEvents events;
    ExitPort port(events);
    write_value(port, 0, 1, 0);
    write_value(port, 1, 1, 0);
    write_value(port, 0, 4, 0);
    EXPECT_EQ(read_value(port, 0, 2), 0xffffu);
    EXPECT_TRUE(events.exits.empty());
}

TEST(PhasePort, TellsKnownPhasesOnly) {
    RecordedEvents events;
    PhasePort port(events);
    for (const unsigned phase : {0u, 1u, 2u, 3u, 4u, 5u, 255u}) write_value(port, 0, 1, phase);
    write_value(port, 0, 2, 1);
    EXPECT_THAT(events.phases,
                ElementsAre(platform::BootPhase::loader_entry, platform::BootPhase::kernel_entry,
                            platform::BootPhase::ready, platform::BootPhase::firmware_done));
    EXPECT_EQ(read_value(port, 0, 1), 0xffu);
}

TEST(SystemControlPort, KeepsTheA20BitAndResets) {
    RecordedEvents events;
    SystemControlPort port(events);
    EXPECT_EQ(read_value(port, 0, 1), 2u);
    write_value(port, 0, 1, 0);
    EXPECT_EQ(read_value(port, 0, 1), 0u);
    EXPECT_EQ(events.resets, 0);
    write_value(port, 0, 1, 3);
    EXPECT_EQ(events.resets, 1);
    EXPECT_EQ(read_value(port, 0, 1), 2u);
}

TEST(KeyboardCommandPort, OnlyThePulseResets) {
    RecordedEvents events;
    KeyboardCommandPort port(events);
    write_value(port, 0, 1, 0xd1);
    EXPECT_EQ(events.resets, 0);
    write_value(port, 0, 1, 0xfe);
    EXPECT_EQ(events.resets, 1);
    EXPECT_EQ(read_value(port, 0, 1), 0xffu);
}

TEST(DebugPort, ShowsItsPresenceAndPassesTextOn) {
    std::string text;
    DebugPort port([&text](std::span<const std::byte> bytes) {
        for (const std::byte byte : bytes) text.push_back(std::to_integer<char>(byte));
    });
    EXPECT_EQ(read_value(port, 0, 1), 0xe9u);
    write_value(port, 0, 1, 'P');
    write_value(port, 0, 1, 'E');
    EXPECT_EQ(text, "PE");
    DebugPort deaf({});
    write_value(deaf, 0, 1, 'x');
}

/// QemuFlashDetected of QemuFlashFvbServicesRuntimeDxe, with the memory slot that KVM would show for reads.
TEST(ReadOnlyFlash, OvmfsProbeFindsRom) {
    const auto image = test::bytes_of({0x00, 0x50, 0x70, 0x42});
    ReadOnlyFlash flash(image);
    constexpr std::uint64_t probed = 3;  // the first byte that is no command
    const auto original = read_value(flash, probed, 1);
    write_value(flash, probed, 1, 0x50);
    EXPECT_NE(read_value(flash, probed, 1), 0x50u) << "that would be RAM";
    write_value(flash, probed, 1, 0x70);
    EXPECT_EQ(read_value(flash, probed, 1), original) << "a status of 0 would be flash";
}

TEST(ReadOnlyFlash, ReadsPastItsEndAreOnes) {
    const auto image = test::bytes_of({1, 2, 3, 4});
    ReadOnlyFlash flash(image);
    EXPECT_EQ(read_value(flash, 2, 4), 0xffff'0403u);
    EXPECT_EQ(read_value(flash, 1000, 8), UINT64_MAX);
}

TEST(AbsentHardware, ReadsAsOnes) {
    AbsentHardware absent;
    write_value(absent, 0, 4, 0);
    EXPECT_EQ(read_value(absent, 8, 4), 0xffff'ffffu);
}

}  // namespace
}  // namespace exo::vmm
