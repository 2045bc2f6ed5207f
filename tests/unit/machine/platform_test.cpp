#include "vmm/machine/platform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/machine/fakes.h"

namespace exo::vmm {
namespace {

using test::read_value;
using test::write_value;

/// The whole platform as the KVM side has it: two buses and nothing else.
class PlatformTest : public testing::Test {
  protected:
    std::uint64_t in(std::uint16_t port, std::size_t size) {
        return read_value(platform_->ports(), port, size);
    }
    void out(std::uint16_t port, std::size_t size, std::uint64_t value) {
        write_value(platform_->ports(), port, size, value);
    }
    std::uint64_t pci(std::uint32_t address, std::size_t size) {
        out(0xcf8, 4, address);
        return in(static_cast<std::uint16_t>(0xcfc + address % 4), size);
    }
    void set_pci(std::uint32_t address, std::size_t size, std::uint64_t value) {
        out(0xcf8, 4, address);
        out(static_cast<std::uint16_t>(0xcfc + address % 4), size, value);
    }
    std::uint64_t reads_of(std::string_view range) {
        const auto counts = platform_->ports().counts();
        const auto found = std::ranges::find(counts, range, &IoBus::Count::name);
        return found == counts.end() ? UINT64_MAX : found->reads;
    }

    test::FakeClock clock_;
    test::FakeRam ram_{1 << 20};
    test::RecordedEvents events_;
    test::RecordedLine serial_line_;
    test::RecordedLine sci_;
    test::TextOutput output_;
    std::vector<std::byte> flash_ = std::vector<std::byte>(0x3000, std::byte{0x90});
    layout::RamSplit split_ = layout::split_ram(layout::gib);
    PlatformConfig config_{.cpus = 2,
                           .ram = split_,
                           .windows = layout::pci_windows(split_, 40),
                           .acpi = {},
                           .flash_variables = std::span(flash_).first(0x1000),
                           .flash_code = std::span(flash_).last(0x2000),
                           .kernel = {},
                           .initrd = {},
                           .command_line = {}};
    std::unique_ptr<Platform> platform_ = *Platform::create(config_, {.memory = ram_.memory(),
                                                                      .clock = clock_,
                                                                      .events = events_,
                                                                      .serial_output = output_,
                                                                      .serial_interrupt = serial_line_,
                                                                      .sci = sci_,
                                                                      .debug_output = {}});
};

TEST_F(PlatformTest, FunctionsAreWhereOvmfLooks) {
    EXPECT_EQ(pci(0x8000'0002, 2), 0x1237u);
    EXPECT_EQ(pci(0x8000'0800, 4), 0x7000'8086u);
    EXPECT_EQ(pci(0x8000'0808, 4) >> 8, 0x06'01'00u);
    EXPECT_EQ(pci(0x8000'080e, 1), 0x80u) << "several functions";
    EXPECT_EQ(pci(0x8000'0b00, 4), 0x7113'8086u);
    EXPECT_EQ(pci(0x8000'0900, 4), 0xffff'ffffu);
    EXPECT_EQ(pci(0x8000'1000, 4), 0xffff'ffffu);
}

/// PciHostBridge's interrupt steering, and the line register.
TEST_F(PlatformTest, SteeringRegistersKeepWhatIsWritten) {
    for (std::uint32_t pin = 0; pin < 4; ++pin) {
        EXPECT_EQ(pci(0x8000'0860 + pin, 1), 0x80u);
        set_pci(0x8000'0860 + pin, 1, 0x0a + pin % 2);
        EXPECT_EQ(pci(0x8000'0860 + pin, 1), 0x0au + pin % 2);
    }
    EXPECT_EQ(pci(0x8000'0860, 4), 0x0b0a'0b0au);
    set_pci(0x8000'0b3c, 1, 9);
    EXPECT_EQ(pci(0x8000'0b3c, 1), 9u);
}

/// MiscInitialization of OVMF's PlatformPei.
TEST_F(PlatformTest, PowerManagementAsOvmfSwitchesItOn) {
    EXPECT_EQ(pci(0x8000'0b80, 1) & 1, 0u);
    set_pci(0x8000'0b40, 4, 0xb000);
    set_pci(0x8000'0b80, 1, pci(0x8000'0b80, 1) | 1);
    out(0xb004, 2, in(0xb004, 2) | 1);
    clock_.pass(std::chrono::milliseconds(1));
    EXPECT_EQ(in(0xb008, 4), 3579u);
    out(0xb004, 2, 0x2001);
    EXPECT_EQ(events_.power_offs, 1);
    EXPECT_EQ(reads_of("pm timer"), 1u);
}

/// QemuFwCfgInitialize and the items that PlatformPei reads.
TEST_F(PlatformTest, FirmwareConfiguration) {
    const auto item = [this](std::uint16_t selector, std::size_t size) {
        out(0x510, 2, selector);
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < size; ++i) value |= in(0x511, 1) << (8 * i);
        return value;
    };
    EXPECT_EQ(item(0, 4), 0x554d'4551u);
    EXPECT_EQ(item(1, 4), 3u);
    EXPECT_EQ(item(5, 2), 2u);
    EXPECT_EQ(item(3, 8), layout::gib);
    EXPECT_EQ(item(8, 4), 0u) << "no kernel";
    EXPECT_EQ(item(0x19, 4), std::byteswap(4u));
    EXPECT_EQ(item(0x20, 8), 0u);
}

TEST_F(PlatformTest, OtherPortsOfAnOvmfBoot) {
    EXPECT_EQ(in(0x402, 1), 0xe9u);
    EXPECT_EQ(in(0xaf00, 4), 0xffff'ffffu);
    EXPECT_EQ(in(0xaf08, 1), 0xffu);
    EXPECT_EQ(reads_of("cpu hot-plug"), 2u);
    out(0x92, 1, in(0x92, 1) | 2);
    EXPECT_EQ(in(0x92, 1), 2u);
    out(0x70, 1, 0x34);
    EXPECT_EQ(in(0x71, 1) | 0x100, (layout::gib - 16 * layout::mib) / 65536 % 256 | 0x100);
    out(0x3f8, 1, 'x');
    EXPECT_EQ(output_.text, "x");
    out(0x64, 1, 0xfe);
    out(0xcf9, 1, 6);
    EXPECT_EQ(events_.resets, 2);
    out(0x600, 2, 7);
    EXPECT_THAT(events_.exits, testing::ElementsAre(7));
    out(0x602, 1, 3);
    EXPECT_THAT(events_.phases, testing::ElementsAre(platform::BootPhase::ready));
}

TEST_F(PlatformTest, FlashIsThereAndCannotBeWritten) {
    IoBus& memory = platform_->memory();
    write_value(memory, 0xffff'd000, 1, 0x10);
    EXPECT_EQ(read_value(memory, 0xffff'd000, 1), 0x90u);
    write_value(memory, 0xffff'fff0, 8, 0);
    EXPECT_EQ(read_value(memory, 0xffff'fff0, 8), 0x9090'9090'9090'9090u);
    EXPECT_EQ(read_value(memory, 0xffff'cfff, 1), 0xffu);
}

/// No access of any size at any port hangs or kills the machine, whatever the ports before it have done.
TEST_F(PlatformTest, EveryPortSurvivesEveryAccess) {
    std::uint32_t random = 1;
    for (std::uint32_t round = 0; round < 4; ++round) {
        for (std::uint32_t port = 0; port < 0x10000; ++port) {
            random = random * 1664525 + 1013904223;
            const std::size_t size = std::size_t{1} << (random >> 30);
            out(static_cast<std::uint16_t>(port), size, std::uint64_t{random} * random);
            in(static_cast<std::uint16_t>(port), size);
        }
    }
    EXPECT_EQ(in(0x402, 1), 0xe9u);
}

}  // namespace
}  // namespace exo::vmm
