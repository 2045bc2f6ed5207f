#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "guest/drivers/pci/msix.h"
#include "guest/drivers/pci/pci_function.h"
#include "guest/drivers/pci/pci_scan.h"
#include "guest/kernel/format.h"
#include "tests/unit/guest_drivers/fake_machine.h"
#include "tests/unit/guest_drivers/fake_pci_config.h"

namespace exo::guest::test {
namespace {

using testing::ElementsAre;

std::vector<PciAddress> scan(PciConfig& config, std::size_t room = 300) {
    std::vector<PciAddress> found(room);
    found.resize(std::min(room, pci_scan(config, found)));
    return found;
}

/// Records what mechanism 1 puts on the ports.
class PortLog final : public RegisterModel {
  public:
    std::uint64_t read(std::uint64_t offset, unsigned width) override {
        log.push_back("r" + std::to_string(width) + "@" + std::to_string(offset));
        return 0x1234'5678;
    }
    void write(std::uint64_t offset, std::uint64_t value, unsigned width) override {
        char text[64];
        std::snprintf(text, sizeof text, "w%u@%lu=%lx", width, static_cast<unsigned long>(offset),
                      static_cast<unsigned long>(value));
        log.emplace_back(text);
    }
    std::vector<std::string> log;
};

TEST(PciPortConfig, SelectsThenReadsTheWholeWord) {
    FakeMachine machine;
    PortLog log;
    machine.place_ports(PciPortConfig::first_port, PciPortConfig::port_count, log);
    auto ports = machine.map_ports(PciPortConfig::first_port, PciPortConfig::port_count);
    PciPortConfig config(**ports);
    EXPECT_EQ(0x1234u, config.read16({1, 2, 3}, 0x42));
    EXPECT_EQ(0x56u, config.read8({1, 2, 3}, 0x41));
    EXPECT_THAT(log.log, ElementsAre("w4@0=80011340", "r4@4", "w4@0=80011340", "r4@4"));
}

TEST(PciPortConfig, WritesHalfAWordAsSuch) {
    FakeMachine machine;
    PortLog log;
    machine.place_ports(PciPortConfig::first_port, PciPortConfig::port_count, log);
    auto ports = machine.map_ports(PciPortConfig::first_port, PciPortConfig::port_count);
    PciPortConfig config(**ports);
    config.write16({0, 31, 7}, 0x06, 0xbeef);
    EXPECT_THAT(log.log, ElementsAre("w4@0=8000ff04", "w2@6=beef"));
}

TEST(PciAddress, IsWrittenAsEveryoneDoes) {
    FixedText<16> text;
    format(text, "{}", PciAddress{0, 0x1f, 2});
    EXPECT_EQ("00:1f.2", text.view());
}

TEST(PciScan, FindsFunctionsInOrder) {
    FakePciConfig config;
    config.add({0, 31, 0}, 0x8086, 1);
    config.add({0, 1, 0}, 0x8086, 2).set8(pci_reg::header_type, 0x80);
    config.add({0, 1, 3}, 0x8086, 3);
    EXPECT_THAT(scan(config), ElementsAre(PciAddress{0, 1, 0}, PciAddress{0, 1, 3}, PciAddress{0, 31, 0}));
}

TEST(PciScan, IgnoresFunctionsOfASingleFunctionDevice) {
    FakePciConfig config;
    config.add({0, 1, 0}, 0x8086, 2);
    config.add({0, 1, 1}, 0x8086, 2);  // what some hardware shows there is a mirror
    EXPECT_THAT(scan(config), ElementsAre(PciAddress{0, 1, 0}));
}

TEST(PciScan, LooksBehindBridgesAndIsNotCaughtByACircle) {
    FakePciConfig config;
    auto& bridge = config.add({0, 2, 0}, 0x8086, 9);
    bridge.set8(pci_reg::header_type, 1);
    bridge.set8(pci_reg::secondary_bus, 7);
    auto& back = config.add({7, 0, 0}, 0x8086, 9);
    back.set8(pci_reg::header_type, 1);
    back.set8(pci_reg::secondary_bus, 0);
    config.add({7, 4, 0}, 0x1af4, 0x1042);
    EXPECT_THAT(scan(config), ElementsAre(PciAddress{0, 2, 0}, PciAddress{7, 0, 0}, PciAddress{7, 4, 0}));
}

TEST(PciScan, CountsWhatDoesNotFit) {
    FakePciConfig config;
    for (std::uint8_t device = 0; device < 5; ++device) config.add({0, device, 0}, 1, 1);
    std::vector<PciAddress> found(2);
    EXPECT_EQ(5u, pci_scan(config, found));
    EXPECT_EQ((PciAddress{0, 1, 0}), found[1]);
}

TEST(PciFunction, SizesBarsAndLeavesThemAsTheyWere) {
    FakePciConfig config;
    auto& space = config.add({0, 3, 0}, 1, 1);
    space.set16(pci_reg::command, 7);
    space.set_bar(0, 0xfebc'0000, 0x4000);
    space.set_port_bar(1, 0xc040, 16);
    space.set_bar(4, 0x38'0000'0000, 0x2'0000'0000, true);
    PciFunction function(config, {0, 3, 0});
    const PciBar memory = function.bar(0);
    EXPECT_FALSE(memory.ports);
    EXPECT_EQ(0xfebc'0000u, memory.address);
    EXPECT_EQ(0x4000u, memory.size);
    const PciBar ports = function.bar(1);
    EXPECT_TRUE(ports.ports);
    EXPECT_EQ(0xc040u, ports.address);
    EXPECT_EQ(16u, ports.size);
    const PciBar wide = function.bar(4);
    EXPECT_EQ(0x38'0000'0000u, wide.address);
    EXPECT_EQ(0x2'0000'0000u, wide.size);
    EXPECT_EQ(0u, function.bar(2).size);
    EXPECT_EQ(0u, function.bar(6).size);
    EXPECT_EQ(7u, space.get16(pci_reg::command));
    EXPECT_EQ(0xfebc'0000u, space.get32(0x10));
    EXPECT_EQ(0x38u, space.get32(0x24));
}

TEST(PciFunction, RefusesRegistersThatDoNotFitTheirBar) {
    FakeMachine machine;
    FakePciConfig config;
    auto& space = config.add({0, 3, 0}, 1, 1);
    space.set_bar(0, 0xfebc'0000, 0x1000);
    space.set_bar(1, 0, 0x1000);
    PciFunction function(config, {0, 3, 0});
    EXPECT_TRUE(function.map_bar(machine, 0, 0x800, 0x800));
    EXPECT_EQ(pci_command::memory, space.get16(pci_reg::command));
    EXPECT_FALSE(function.map_bar(machine, 0, 0x801, 0x800));
    EXPECT_FALSE(function.map_bar(machine, 0, ~std::uint64_t{0}, 2));
    EXPECT_FALSE(function.map_bar(machine, 0, 0, 0));
    EXPECT_FALSE(function.map_bar(machine, 1, 0, 4)) << "a BAR without an address";
    EXPECT_FALSE(function.map_bar(machine, 2, 0, 4)) << "no BAR";
    EXPECT_FALSE(function.map_bar(machine, 7, 0, 4)) << "a number that MSI-X can hold but that is no BAR";
}

TEST(PciFunction, WalksCapabilities) {
    FakePciConfig config;
    auto& space = config.add({0, 3, 0}, 1, 1);
    PciFunction function(config, {0, 3, 0});
    space.set8(pci_reg::capabilities, 0x40);
    space.set16(0x40, 0x5009);
    space.set16(0x50, 0x6011);
    space.set16(0x60, 0x0009);
    EXPECT_FALSE(function.find_capability(0x11)) << "without the status bit there is no list";
    space.set16(pci_reg::status, 0x10);
    EXPECT_EQ(0x50, function.find_capability(0x11));
    EXPECT_EQ(0x40, function.find_capability(0x09));
    EXPECT_EQ(0x60, function.find_capability(0x09, 0x40));
    EXPECT_FALSE(function.find_capability(0x09, 0x60));
    EXPECT_FALSE(function.find_capability(0x05));
}

TEST(PciFunction, SurvivesACircularListOfCapabilities) {
    FakePciConfig config;
    auto& space = config.add({0, 3, 0}, 1, 1);
    space.set16(pci_reg::status, 0x10);
    space.set8(pci_reg::capabilities, 0x43);  // the lowest two bits are reserved
    space.set16(0x40, 0x4405);
    space.set16(0x44, 0x4005);
    PciFunction function(config, {0, 3, 0});
    EXPECT_FALSE(function.find_capability(0x11));
    space.set16(0x44, 0x1011);  // leads into the header
    EXPECT_EQ(0x44, function.find_capability(0x11));
    EXPECT_FALSE(function.find_capability(0x11, 0x44));
    space.bytes.fill(0xff);
    EXPECT_FALSE(function.find_capability(0x11));
}

/// Remembers an MSI-X table.
class MsixModel final : public RegisterModel {
  public:
    std::uint64_t read(std::uint64_t offset, unsigned) override { return words.at(offset / 4); }
    void write(std::uint64_t offset, std::uint64_t value, unsigned width) override {
        ASSERT_EQ(4u, width);
        words.at(offset / 4) = static_cast<std::uint32_t>(value);
    }
    std::array<std::uint32_t, 16> words{};
};

FakePciConfig::Space& msix_function(FakePciConfig& config) {
    auto& space = config.add({0, 3, 0}, 1, 1);
    space.set16(pci_reg::status, 0x10);
    space.set8(pci_reg::capabilities, 0x40);
    space.set16(0x40, 0x0011);
    space.set16(0x42, 0x4003);  // masked as a whole, 4 vectors
    space.set32(0x44, 0x0801);  // BAR 1, offset 0x800
    space.set_bar(1, 0xfebc'0000, 0x1000);
    return space;
}

TEST(MsixTable, ProgramsAVectorAndTurnsTheRestOff) {
    FakeMachine machine;
    MsixModel model;
    machine.place_memory(0xfebc'0800, 64, model);
    FakePciConfig config;
    auto& space = msix_function(config);
    PciFunction function(config, {0, 3, 0});
    auto msix = MsixTable::create(function, machine);
    ASSERT_TRUE(msix);
    EXPECT_EQ(4u, msix->size());
    msix->set(2, {0x1'fee0'0000, 0x41});
    EXPECT_THAT(std::span(model.words).subspan(8, 4), ElementsAre(0xfee0'0000u, 1u, 0x41u, 0u));
    EXPECT_EQ(1u, model.words[3]);
    EXPECT_EQ(1u, model.words[15]);
    msix->enable();
    EXPECT_EQ(0x8003u, space.get16(0x42));
    EXPECT_EQ(pci_command::memory | pci_command::interrupt_off, space.get16(pci_reg::command));
    msix->disable();
    EXPECT_EQ(0x0003u, space.get16(0x42));
}

TEST(MsixTable, RefusesATableOutsideOfItsBar) {
    FakeMachine machine;
    FakePciConfig config;
    auto& space = msix_function(config);
    space.set32(0x44, 0x0fc9);
    PciFunction function(config, {0, 3, 0});
    EXPECT_FALSE(MsixTable::create(function, machine));
    space.set32(0x44, 0x0807);
    EXPECT_FALSE(MsixTable::create(function, machine));
    space.set16(pci_reg::status, 0);
    EXPECT_FALSE(MsixTable::create(function, machine));
}

}  // namespace
}  // namespace exo::guest::test
