#include "guest/drivers/apic/io_apic.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/unit/guest_core/fake_registers.h"

namespace exo::guest {
namespace {

/// The two registers of an I/O APIC and what lies behind them.
struct Chip {
    FakeRegisters registers;
    std::map<std::uint64_t, std::uint64_t> inner;
    std::uint64_t selected = 0;

    explicit Chip(std::uint32_t version) {
        inner[1] = version;
        registers.on_read = [this](std::uint64_t offset) { return offset == 0x10 ? inner[selected] : 0; };
        registers.on_write = [this](std::uint64_t offset, std::uint64_t value) {
            (offset == 0x10 ? inner[selected] : selected) = value;
        };
    }
};

TEST(IoApic, MasksEveryLineWhenItIsFound) {
    Chip chip(0x0017'0011);
    const auto apic = IoApic::probe(chip.registers, 24);
    ASSERT_TRUE(apic);
    EXPECT_EQ(apic->lines(), 24u);
    EXPECT_FALSE(apic->serves(23));
    EXPECT_TRUE(apic->serves(24));
    EXPECT_TRUE(apic->serves(47));
    EXPECT_FALSE(apic->serves(48));
    for (unsigned line = 0; line < 24; ++line) EXPECT_EQ(chip.inner[0x10 + 2 * line], 1u << 16);
}

TEST(IoApic, IsNotFoundWhereThereIsNone) {
    FakeRegisters nothing;
    EXPECT_FALSE(IoApic::probe(nothing, 0));
    FakeRegisters zeros;
    zeros.on_read = [](std::uint64_t) { return 0; };
    EXPECT_FALSE(IoApic::probe(zeros, 0));
}

TEST(IoApic, ConnectsALine) {
    Chip chip(0x0017'0020);
    auto apic = IoApic::probe(chip.registers, 0);
    ASSERT_TRUE(apic);
    apic->connect({.global_interrupt = 4}, 0x31, 2);
    EXPECT_EQ(chip.inner[0x18], 0x31u);
    EXPECT_EQ(chip.inner[0x19], 2u << 24);
    apic->connect({.global_interrupt = 9, .active_low = true, .level_triggered = true}, 0x32, 0);
    EXPECT_EQ(chip.inner[0x22], 0x32u | 1u << 13 | 1u << 15);
}

}  // namespace
}  // namespace exo::guest
