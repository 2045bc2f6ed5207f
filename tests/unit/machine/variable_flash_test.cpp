#include "vmm/machine/variable_flash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace exo::vmm {
namespace {

using Mode = VariableFlash::State::Mode;

struct Cells final : FlashMemory {
    std::vector<std::byte> content = std::vector<std::byte>(3 * VariableFlash::block_size, std::byte{0xff});
    std::span<std::byte> bytes() override { return content; }
    void program(std::uint64_t offset, std::span<const std::byte> data) override {
        for (std::size_t i = 0; i < data.size(); ++i) content.at(offset + i) &= data[i];
    }
    void erase(std::uint64_t offset, std::uint64_t size) override {
        std::ranges::fill(std::span(content).subspan(offset, size), std::byte{0xff});
    }
};

struct Mapping final : FlashMapping {
    std::vector<bool> calls;
    void show_array(bool visible) override { calls.push_back(visible); }
};

struct VariableFlashTest : testing::Test {
    Cells cells;
    Mapping mapping;
    VariableFlash flash{cells, mapping};

    void write(std::uint64_t offset, unsigned value) {
        const std::byte byte{static_cast<std::uint8_t>(value)};
        flash.write(offset, {&byte, 1});
    }
    unsigned read(std::uint64_t offset) {
        std::byte byte{};
        flash.read(offset, {&byte, 1});
        return std::to_integer<unsigned>(byte);
    }
    void program(std::uint64_t offset, unsigned value) {
        write(offset, 0x10);
        write(offset, value);
    }
};

TEST_F(VariableFlashTest, FirmwareFindsFlashByItsProbe) {
    cells.content[100] = std::byte{0x5a};
    write(100, 0x50);
    EXPECT_EQ(read(100), 0x5au) << "clearing the status leaves the array readable";
    EXPECT_TRUE(mapping.calls.empty());
    write(100, 0x70);
    EXPECT_EQ(read(100), 0x00u);
    write(100, 0xff);
    EXPECT_EQ(read(100), 0x5au);
    EXPECT_EQ(mapping.calls, (std::vector<bool>{false, true})) << "the slot is away for the status alone";
    EXPECT_EQ(cells.content[100], std::byte{0x5a}) << "no command is data";
}

TEST_F(VariableFlashTest, ProgrammingClearsBitsAndErasingSetsThem) {
    program(VariableFlash::block_size + 7, 0xf0);
    program(VariableFlash::block_size + 7, 0x3c);
    EXPECT_EQ(read(VariableFlash::block_size + 7), 0x30u);
    program(7, 0x11);
    program(2 * VariableFlash::block_size, 0x22);
    write(VariableFlash::block_size + 4095, 0x20);
    write(VariableFlash::block_size + 4095, 0xd0);
    EXPECT_EQ(read(VariableFlash::block_size + 7), 0xffu);
    EXPECT_EQ(read(7), 0x11u) << "the block before";
    EXPECT_EQ(read(2 * VariableFlash::block_size), 0x22u) << "the block after";
    EXPECT_TRUE(mapping.calls.empty()) << "the array stays mapped all the while";
}

TEST_F(VariableFlashTest, DataThatLooksLikeACommandIsData) {
    for (const unsigned value : {0x10u, 0x20u, 0x50u, 0x70u, 0xd0u, 0xffu}) {
        program(value, value);
        EXPECT_EQ(read(value), value);
        EXPECT_EQ(flash.state().mode, Mode::array);
    }
}

TEST_F(VariableFlashTest, AnEraseThatIsNotConfirmedDoesNothing) {
    program(7, 0x11);
    write(7, 0x20);
    write(7, 0xff);
    EXPECT_EQ(read(7), 0x11u);
    EXPECT_EQ(flash.state().mode, Mode::array);
}

TEST_F(VariableFlashTest, TheStatusTellsThatWorkIsDone) {
    program(7, 0x11);
    write(0, 0x70);
    EXPECT_EQ(read(5000), VariableFlash::status_ready);
    write(0, 0x50);
    EXPECT_EQ(flash.state(), VariableFlash::State{}) << "cleared, and back to the array";
    EXPECT_EQ(read(7), 0x11u);
}

TEST_F(VariableFlashTest, WhatReachesPastTheEndStaysInside) {
    const std::uint64_t end = cells.content.size();
    write(end - 1, 0x10);
    const std::vector<std::byte> eight(8, std::byte{0});
    flash.write(end - 1, eight);
    EXPECT_EQ(read(end - 1), 0u);
    flash.write(end, eight);
    flash.write(UINT64_MAX, eight);
    EXPECT_EQ(read(end), 0xffu);
    EXPECT_EQ(flash.state().mode, Mode::array);
}

TEST_F(VariableFlashTest, AWiderWriteProgramsAllItsBytes) {
    write(16, 0x40);
    const std::byte four[] = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
    flash.write(16, four);
    EXPECT_EQ(read(19), 4u);
}

}  // namespace
}  // namespace exo::vmm
