#include "vmm/machine/pci_bus.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/machine/fakes.h"
#include "vmm/machine/chipset.h"
#include "vmm/machine/pci_config_ports.h"
#include "vmm/machine/pci_device.h"

namespace exo::vmm {
namespace {

using test::read_value;
using test::RecordedEvents;
using test::RecordedHandler;
using test::write_value;
using testing::ElementsAre;

struct Heard final : BarListener {
    std::vector<std::string> events;
    void bar_mapped(unsigned bar, AddressRange where) override {
        events.push_back(fmt::format("+{} {:x}", bar, where.start));
    }
    void bar_unmapped(unsigned bar, AddressRange where) override {
        events.push_back(fmt::format("-{} {:x}", bar, where.start));
    }
};

constexpr std::uint16_t decode_all = pci::command_io | pci::command_memory;

/// A machine with a host bridge and two devices, driven through the ports as firmware does.
class PciBusTest : public testing::Test {
  protected:
    PciBusTest() {
        ports_.add_at("pci config", {0xcf8, 8}, config_ports_);
        pci_.add({0, 0}, host_bridge_);
        pci_.add({2, 0}, block_);
        pci_.add({3, 0}, other_);
        block_.set_bar_listener(&heard_);
    }

    static constexpr std::uint32_t address_of(unsigned device, unsigned offset) {
        return 0x8000'0000 | device << 11 | (offset & 0xfc);
    }
    std::uint64_t get(unsigned device, unsigned offset, std::size_t size) {
        write_value(ports_, 0xcf8, 4, address_of(device, offset));
        return read_value(ports_, 0xcfc + offset % 4, size);
    }
    void set(unsigned device, unsigned offset, std::size_t size, std::uint64_t value) {
        write_value(ports_, 0xcf8, 4, address_of(device, offset));
        write_value(ports_, 0xcfc + offset % 4, size, value);
    }
    void place(unsigned device, std::uint64_t address) {
        set(device, pci::bar0, 4, address);
        set(device, pci::command, 2, decode_all);
    }

    static constexpr unsigned block = 2;
    static constexpr unsigned other = 3;

    IoBus ports_;
    IoBus memory_;
    PciBus pci_{ports_, memory_, layout::pci_windows(layout::split_ram(3 * layout::gib), 40)};
    RecordedEvents events_;
    PciConfigPorts config_ports_{pci_, events_};
    RecordedHandler registers_;
    RecordedHandler wide_;
    RecordedHandler narrow_;
    HostBridge host_bridge_;
    PciDevice block_{fusion_blk_spec("disk", registers_, 4)};
    PciDevice other_{{.name = "other",
                      .identity = {.vendor = 0x1af4, .device = 0x10f7, .class_code = 0xff0000},
                      .bars = {{BarKind::memory64, 64 * layout::kib, &wide_}, {BarKind::io, 32, &narrow_}},
                      .msix = std::nullopt}};
    Heard heard_;
};

TEST_F(PciBusTest, HostBridgeIsWhatOvmfLooksFor) {
    EXPECT_EQ(get(0, 0, 4), 0x1237'8086u);
    EXPECT_EQ(get(0, 2, 2), 0x1237u);
    EXPECT_EQ(get(0, 3, 1), 0x12u);
    EXPECT_EQ(get(0, 0x0b, 1), 6u);
    EXPECT_EQ(get(0, 0x0e, 1), 0u);
    EXPECT_EQ(get(0, 0x2c, 4), 0x10ff'1af4u);
    EXPECT_EQ(get(0, 0x3d, 1), 0u);
}

TEST_F(PciBusTest, AbsentFunctionsAreOnes) {
    EXPECT_EQ(get(5, 0, 4), 0xffff'ffffu);
    EXPECT_EQ(get(5, 0, 2), 0xffffu);
    EXPECT_EQ(get(31, 0x0e, 1), 0xffu);
    set(5, pci::command, 2, 7);
    write_value(ports_, 0xcf8, 4, 0x8001'0000);
    EXPECT_EQ(read_value(ports_, 0xcfc, 4), 0xffff'ffffu) << "bus 1";
    write_value(ports_, 0xcf8, 4, 0x8000'0100);
    EXPECT_EQ(read_value(ports_, 0xcfc, 4), 0xffff'ffffu) << "function 1";
    write_value(ports_, 0xcf8, 4, 0x0000'0000);
    EXPECT_EQ(read_value(ports_, 0xcfc, 4), 0xffff'ffffu) << "not enabled";
}

TEST_F(PciBusTest, AddressRegisterTakesDwordsOnly) {
    write_value(ports_, 0xcf8, 4, 0xffff'ffff);
    EXPECT_EQ(read_value(ports_, 0xcf8, 4), 0x80ff'fffcu);
    write_value(ports_, 0xcf8, 4, address_of(0, 0));
    write_value(ports_, 0xcf8, 1, 0x10);
    write_value(ports_, 0xcf8, 2, 0x1010);
    EXPECT_EQ(read_value(ports_, 0xcf8, 4), address_of(0, 0));
    EXPECT_EQ(read_value(ports_, 0xcf8, 2), 0xffffu);
}

TEST_F(PciBusTest, DataWindowAtEveryByte) {
    write_value(ports_, 0xcf8, 4, address_of(0, 0));
    EXPECT_EQ(read_value(ports_, 0xcfd, 1), 0x80u);
    EXPECT_EQ(read_value(ports_, 0xcfd, 2), 0x3780u);
    EXPECT_EQ(read_value(ports_, 0xcfd, 4), 0xff12'3780u) << "the last byte lies behind the window";
    EXPECT_EQ(read_value(ports_, 0xcff, 2), 0xff12u);
    EXPECT_EQ(read_value(ports_, 0xcfc, 8), 0xffff'ffff'1237'8086u);
    EXPECT_EQ(read_value(config_ports_, 6, 4), 0xffff'ffffu) << "not taken apart: no such access";
}

TEST_F(PciBusTest, ReadOnlyBitsStay) {
    set(0, 0, 4, 0);
    EXPECT_EQ(get(0, 0, 4), 0x1237'8086u);
    set(0, pci::command, 4, 0xffff'ffff);
    EXPECT_EQ(get(0, pci::command, 4), 0x0000'0507u);
    set(0, 0x3c, 4, 0xffff'ffff);
    EXPECT_EQ(get(0, 0x3c, 4), 0x0000'00ffu);
    set(0, pci::bar0, 4, 0xffff'ffff);
    EXPECT_EQ(get(0, pci::bar0, 4), 0u) << "no BAR";
}

TEST_F(PciBusTest, SizingReadsBackTheSize) {
    set(block, pci::bar0, 4, 0xffff'ffff);
    EXPECT_EQ(get(block, pci::bar0, 4), 0xffff'c000u);
    set(other, pci::bar0, 4, 0xffff'ffff);
    set(other, pci::bar0 + 4, 4, 0xffff'ffff);
    set(other, pci::bar0 + 8, 4, 0xffff'ffff);
    EXPECT_EQ(get(other, pci::bar0, 4), 0xffff'0004u);
    EXPECT_EQ(get(other, pci::bar0 + 4, 4), 0xffff'ffffu);
    EXPECT_EQ(get(other, pci::bar0 + 8, 4), 0xffff'ffe1u);
    set(block, 0x30, 4, 0xffff'ffff);
    EXPECT_EQ(get(block, 0x30, 4), 0u) << "no option ROM";
}

TEST_F(PciBusTest, BarAnswersWhileDecodeIsOn) {
    set(block, pci::bar0, 4, 0x8000'0000);
    EXPECT_EQ(read_value(memory_, 0x8000'0010, 4), 0xffff'ffffu);
    set(block, pci::command, 2, pci::command_memory);
    EXPECT_EQ(read_value(memory_, 0x8000'0010, 4), 0x10u);
    set(block, pci::command, 2, pci::command_io);
    EXPECT_EQ(read_value(memory_, 0x8000'0010, 4), 0xffff'ffffu);
    EXPECT_THAT(heard_.events, ElementsAre("+0 80000000", "-0 80000000"));
}

TEST_F(PciBusTest, BarMovesWithEachWrite) {
    place(block, 0x8000'0000);
    set(block, pci::bar0, 4, 0xc000'0000);
    EXPECT_EQ(read_value(memory_, 0xc000'1004, 4), 0x1004u);
    EXPECT_EQ(read_value(memory_, 0x8000'1004, 4), 0xffff'ffffu);
    set(block, pci::bar0 + 3, 1, 0xd0);
    EXPECT_EQ(read_value(memory_, 0xd000'1004, 4), 0x1004u) << "moved by a byte";
    EXPECT_THAT(heard_.events,
                ElementsAre("+0 80000000", "-0 80000000", "+0 c0000000", "-0 c0000000", "+0 d0000000"));
}

TEST_F(PciBusTest, WritesThatMoveNothingAreNotTold) {
    place(block, 0x8000'0000);
    set(block, pci::bar0, 4, 0x8000'0000);
    set(block, pci::command, 2, decode_all | pci::command_master);
    set(block, 0x3c, 1, 11);
    EXPECT_THAT(heard_.events, ElementsAre("+0 80000000"));
}

TEST_F(PciBusTest, SizingWithDecodeOnMapsNothing) {
    place(block, 0x8000'0000);
    set(block, pci::bar0, 4, 0xffff'ffff);
    EXPECT_FALSE(pci_.mapped({block, 0}, 0)) << "that would be on top of the flash";
    set(block, pci::bar0, 4, 0x8000'0000);
    EXPECT_THAT(heard_.events, ElementsAre("+0 80000000", "-0 80000000", "+0 80000000"));
}

TEST_F(PciBusTest, BarsDecodeInsideTheWindowsOnly) {
    for (const std::uint64_t hostile :
         {0x0000'0000ull, 0x0010'0000ull, 0x7fff'c000ull, 0xfc00'0000ull, 0xfec0'0000ull, 0xfee0'0000ull,
          0xfeff'c000ull, 0xffc8'4000ull, 0xffff'c000ull}) {
        place(block, hostile);
        EXPECT_FALSE(pci_.mapped({block, 0}, 0)) << std::hex << hostile;
    }
    place(block, 0xfbff'c000);
    EXPECT_TRUE(pci_.mapped({block, 0}, 0)) << "the last place of the window";
}

TEST_F(PciBusTest, WideBarsDecodeAboveRamAndBelowFourGiB) {
    const auto place_wide = [this](std::uint64_t address) {
        set(other, pci::bar0, 4, address & 0xffff'ffff);
        set(other, pci::bar0 + 4, 4, address >> 32);
        set(other, pci::command, 2, decode_all);
        return pci_.mapped({other, 0}, 0);
    };
    EXPECT_TRUE(place_wide(0x9000'0000));
    EXPECT_TRUE(place_wide(0x1'4000'0000)) << "first address above 3 GiB of RAM";
    EXPECT_EQ(read_value(memory_, 0x1'4000'0008, 8), 8u);
    EXPECT_FALSE(place_wide(0x1'3fff'0000)) << "on RAM";
    EXPECT_TRUE(place_wide(0xff'ffff'0000));
    EXPECT_FALSE(place_wide(0x100'0000'0000)) << "past the address width";
    EXPECT_FALSE(place_wide(0xffff'ffff'ffff'0000)) << "at the very top";
}

TEST_F(PciBusTest, PortBarsDecodeInTheirWindow) {
    const auto place_ports = [this](std::uint64_t address) {
        set(other, pci::bar0 + 8, 4, address);
        set(other, pci::command, 2, pci::command_io);
        return pci_.mapped({other, 0}, 2);
    };
    EXPECT_TRUE(place_ports(0xc000));
    EXPECT_EQ(read_value(ports_, 0xc004, 4), 4u);
    EXPECT_FALSE(place_ports(0x3e0)) << "COM1";
    EXPECT_FALSE(place_ports(0xce0)) << "the configuration ports";
    EXPECT_FALSE(place_ports(0x1'c000)) << "there are 64 Ki ports";
    EXPECT_TRUE(place_ports(0xffe0));
}

TEST_F(PciBusTest, FirstOfOverlappingBarsAnswersWhateverTheOrder) {
    set(other, pci::bar0, 4, 0x9000'0000);
    set(other, pci::command, 2, decode_all);
    EXPECT_TRUE(pci_.mapped({other, 0}, 0));
    place(block, 0x9000'4000);
    EXPECT_TRUE(pci_.mapped({block, 0}, 0)) << "the lower slot has precedence";
    EXPECT_FALSE(pci_.mapped({other, 0}, 0));
    EXPECT_EQ(read_value(memory_, 0x9000'0000, 4), 0xffff'ffffu);

    set(block, pci::bar0, 4, 0xa000'0000);
    EXPECT_TRUE(pci_.mapped({other, 0}, 0)) << "back when the place is free";
}

TEST_F(PciBusTest, CapabilityListLeadsToMsix) {
    EXPECT_TRUE(get(block, pci::status, 2) & pci::status_capabilities);
    const auto at = static_cast<unsigned>(get(block, pci::capabilities, 1));
    EXPECT_EQ(get(block, at, 4), 0x0003'0011u) << "MSI-X, last in the list, four vectors";
    EXPECT_EQ(get(block, at + 4, 4), 0x2000u);
    EXPECT_EQ(get(block, at + 8, 4), 0x3000u);
    EXPECT_FALSE(get(0, pci::status, 2) & pci::status_capabilities);
    EXPECT_FALSE(get(other, pci::status, 2) & pci::status_capabilities);
}

TEST_F(PciBusTest, MsixPagesDoNotReachTheDevice) {
    place(block, 0x8000'0000);
    write_value(memory_, 0x8000'2000, 4, 0xfee0'0000);
    EXPECT_EQ(read_value(memory_, 0x8000'2000, 8), 0xfee0'0000u);
    EXPECT_EQ(read_value(memory_, 0x8000'200c, 4), 1u) << "masked after reset";
    EXPECT_EQ(read_value(memory_, 0x8000'3000, 8), 0u);
    write_value(memory_, 0x8000'3000, 8, UINT64_MAX);
    EXPECT_EQ(read_value(memory_, 0x8000'3000, 8), 0u);
    EXPECT_TRUE(registers_.accesses.empty());
    EXPECT_EQ(read_value(memory_, 0x8000'0ffc, 4), 0x0ffcu);
    EXPECT_EQ(registers_.accesses.size(), 1u);
}

TEST_F(PciBusTest, WindowThroughConfigurationSpaceReachesTheRegisters) {
    constexpr unsigned windowed = 4;
    RecordedHandler registers;
    const VendorCapability first{16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x38, 0, 0, 0};
    const VendorCapability window{20, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    PciDevice device({.name = "windowed",
                      .identity = {.vendor = 0x1af4, .device = 0x1042, .class_code = 0x010000},
                      .bars = {{BarKind::memory32, 32 * layout::kib, &registers}},
                      .msix = MsixPlacement{2, 0, 0x4000, 0x5000},
                      .capabilities = {first, window},
                      .has_window = true});
    pci_.add({windowed, 0}, device);
    auto at = static_cast<unsigned>(get(windowed, pci::capabilities, 1));
    at = static_cast<unsigned>(get(windowed, at + 1, 1));
    EXPECT_EQ(get(windowed, at, 1), pci::capability_vendor);
    EXPECT_EQ(get(windowed, at + 2, 2), 0x0110u);
    EXPECT_EQ(get(windowed, at + 12, 4), 0x38u);
    at = static_cast<unsigned>(get(windowed, at + 1, 1));
    EXPECT_EQ(get(windowed, at + 1, 1), 0u) << "the last one";
    const auto point = [&](unsigned bar, std::uint32_t offset, std::uint32_t length) {
        set(windowed, at + 4, 1, bar);
        set(windowed, at + 8, 4, offset);
        set(windowed, at + 12, 4, length);
    };
    set(windowed, at + 16, 4, 7);
    EXPECT_TRUE(registers.accesses.empty()) << "it points nowhere";
    point(0, 0x14, 1);
    EXPECT_EQ(get(windowed, at + 16, 4), 0x14u) << "whatever the decode bits say";
    set(windowed, at + 16, 1, 0x0f);
    ASSERT_EQ(registers.accesses.size(), 2u);
    point(0, 0x4000, 4);
    set(windowed, at + 16, 4, 0xfee0'0000);
    EXPECT_EQ(get(windowed, at + 16, 4), 0xfee0'0000u) << "MSI-X too";
    for (const auto& [bar, offset, length] : {std::tuple{1u, 0u, 4u},
                                              {6u, 0u, 4u},
                                              {0u, 0u, 3u},
                                              {0u, 0u, 8u},
                                              {0u, 2u, 4u},
                                              {0u, 32u * 1024, 1u},
                                              {0u, 0xffff'fffcu, 4u}}) {
        point(bar, offset, length);
        set(windowed, at + 16, 4, 0x55);
        get(windowed, at + 16, 4);
    }
    EXPECT_EQ(registers.accesses.size(), 2u) << "none of these is a register";
}

TEST_F(PciBusTest, ResetControl) {
    write_value(ports_, 0xcf9, 1, 0x02);
    EXPECT_EQ(events_.resets, 0);
    EXPECT_EQ(read_value(ports_, 0xcf9, 1), 0x02u);
    write_value(ports_, 0xcf9, 1, 0x06);
    EXPECT_EQ(events_.resets, 1);
    write_value(ports_, 0xcf8, 4, 0x0600);
    EXPECT_EQ(events_.resets, 1) << "as part of the address it is no reset";
}

}  // namespace
}  // namespace exo::vmm
