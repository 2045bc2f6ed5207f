#include "vmm/machine/msix.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/machine/fakes.h"
#include "vmm/machine/chipset.h"
#include "vmm/machine/pci_device.h"

namespace exo::vmm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Backend final : MsixBackend {
    std::vector<std::string> events;
    void route(unsigned vector, const std::optional<MsiMessage>& message) override {
        events.push_back(message ? fmt::format("{} -> {:x}:{:x}", vector, message->address, message->data)
                                 : fmt::format("{} -> none", vector));
    }
    void deliver(unsigned vector) override { events.push_back(fmt::format("{} !", vector)); }
};

class MsixTest : public testing::Test {
  protected:
    MsixTest() {
        msix_.set_backend(&backend_);
        msix_.set_control(true, false);
    }
    std::uint64_t get(std::uint64_t offset, std::size_t size) {
        std::byte bytes[8]{};
        msix_.read_table(offset, std::span(bytes).first(size));
        return value_of(std::span(bytes).first(size));
    }
    void set(std::uint64_t offset, std::size_t size, std::uint64_t value) {
        std::byte bytes[8]{};
        put_value(bytes, value);
        msix_.write_table(offset, std::span<const std::byte>(bytes).first(size));
    }
    std::uint64_t pending(std::uint64_t offset, std::size_t size) {
        std::byte bytes[8]{};
        msix_.read_pending(offset, std::span(bytes).first(size));
        return value_of(std::span(bytes).first(size));
    }
    /// As drivers do it: masked, address and data, unmasked.
    void program(unsigned vector, std::uint64_t address, std::uint32_t data) {
        set(vector * 16 + 12, 4, 1);
        set(vector * 16, 4, address & 0xffff'ffff);
        set(vector * 16 + 4, 4, address >> 32);
        set(vector * 16 + 8, 4, data);
        set(vector * 16 + 12, 4, 0);
    }
    std::vector<std::string> events() { return std::exchange(backend_.events, {}); }

    Backend backend_;
    Msix msix_{3};
};

TEST_F(MsixTest, ProgrammedVectorIsRoutedOnceAndDelivered) {
    program(1, 0xfee0'1000, 0x41);
    EXPECT_THAT(events(), ElementsAre("1 -> fee01000:41"));
    msix_.line(1).raise();
    EXPECT_THAT(events(), ElementsAre("1 !"));
    EXPECT_EQ(msix_.counts().delivered, 1u);
}

TEST_F(MsixTest, TableReadsBackInBothWidths) {
    set(16, 8, 0x1'fee0'2003);
    set(24, 8, 0xffff'ffff'0000'0042);
    EXPECT_EQ(get(16, 4), 0xfee0'2000u) << "the low two bits are zero";
    EXPECT_EQ(get(20, 4), 1u);
    EXPECT_EQ(get(16, 8), 0x1'fee0'2000u);
    EXPECT_EQ(get(24, 8), 0x1'0000'0042u) << "of the control word only the mask is there";
}

TEST_F(MsixTest, OddAccessesAreRefused) {
    program(0, 0xfee0'0000, 0x30);
    events();
    for (const auto& [offset, size] :
         {std::pair{0u, 1u}, {0u, 2u}, {2u, 4u}, {4u, 8u}, {12u, 8u}, {1u, 4u}}) {
        EXPECT_EQ(get(offset, size), UINT64_MAX >> (64 - 8 * size)) << offset << ' ' << size;
        set(offset, size, 0);
    }
    EXPECT_EQ(get(0, 4), 0xfee0'0000u);
    EXPECT_EQ(get(48, 4), 0xffff'ffffu) << "behind the last entry";
    set(48, 8, 0);
    set(4088, 8, 0);
    EXPECT_EQ(pending(1, 4), 0xffff'ffffu);
    EXPECT_EQ(pending(8, 8), UINT64_MAX);
    EXPECT_THAT(events(), IsEmpty());
}

TEST_F(MsixTest, MaskedVectorPendsUntilUnmasked) {
    program(0, 0xfee0'0000, 0x30);
    set(12, 4, 1);
    EXPECT_THAT(events(), ElementsAre("0 -> fee00000:30", "0 -> none"));
    msix_.line(0).raise();
    msix_.line(0).raise();
    EXPECT_THAT(events(), IsEmpty());
    EXPECT_EQ(pending(0, 8), 1u);
    EXPECT_EQ(pending(0, 4), 1u);
    set(12, 4, 0);
    EXPECT_THAT(events(), ElementsAre("0 -> fee00000:30", "0 !")) << "once, for both";
    EXPECT_EQ(pending(0, 8), 0u);
}

TEST_F(MsixTest, FunctionMaskHoldsAllVectors) {
    program(0, 0xfee0'0000, 0x30);
    program(2, 0xfee0'0000, 0x32);
    events();
    msix_.set_control(true, true);
    EXPECT_THAT(events(), ElementsAre("0 -> none", "2 -> none"));
    msix_.line(2).raise();
    EXPECT_EQ(pending(0, 8), 4u);
    msix_.set_control(true, false);
    EXPECT_THAT(events(), ElementsAre("0 -> fee00000:30", "2 -> fee00000:32", "2 !"));
}

TEST_F(MsixTest, NothingIsDeliveredWhileSwitchedOff) {
    msix_.set_control(false, false);
    program(0, 0xfee0'0000, 0x30);
    msix_.line(0).raise();
    EXPECT_THAT(events(), IsEmpty());
    msix_.set_control(true, false);
    EXPECT_THAT(events(), ElementsAre("0 -> fee00000:30", "0 !"));
}

TEST_F(MsixTest, MessageMayChangeWhileUnmasked) {
    program(0, 0xfee0'0000, 0x30);
    events();
    set(0, 8, 0xfee0'1000);
    set(8, 4, 0x31);
    set(8, 4, 0x31);
    EXPECT_THAT(events(), ElementsAre("0 -> fee01000:30", "0 -> fee01000:31"));
}

TEST_F(MsixTest, AddressThatIsNoInterruptIsNeverHandedOn) {
    for (const std::uint64_t address :
         {0x0ull, 0x10'0000ull, 0xfedf'fffcull, 0xfef0'0000ull, 0x1'fee0'0000ull, 0xffff'ffff'ffff'fffcull}) {
        program(0, address, 0x30);
        EXPECT_THAT(events(), IsEmpty()) << std::hex << address;
        msix_.line(0).raise();
        EXPECT_THAT(events(), IsEmpty());
    }
    EXPECT_EQ(msix_.counts().misprogrammed, 6u);
    program(0, 0xfeef'fffc, 0x30);
    EXPECT_THAT(events(), ElementsAre("0 -> feeffffc:30"));
}

TEST_F(MsixTest, ValidVectorTurnedBadLosesItsRoute) {
    program(0, 0xfee0'0000, 0x30);
    set(4, 4, 0xdead);
    EXPECT_THAT(events(), ElementsAre("0 -> fee00000:30", "0 -> none"));
}

TEST(Msix, PendingBitsPastTheFirstWord) {
    Msix msix(70);
    EXPECT_EQ(msix.pending_bytes(), 16u);
    msix.line(69).raise();
    msix.line(63).raise();
    std::byte bits[8]{};
    msix.read_pending(8, bits);
    EXPECT_EQ(value_of(bits), std::uint64_t{1} << 5);
    msix.read_pending(4, std::span(bits).first(4));
    EXPECT_EQ(value_of(std::span(bits).first(4)), 0x8000'0000u);
}

TEST(Msix, BackendThatComesLateLearnsAll) {
    Msix msix(1);
    msix.set_control(true, false);
    std::byte entry[8]{};
    put_value(entry, 0xfee0'0000);
    msix.write_table(0, entry);
    put_value(entry, 0x30);
    msix.write_table(8, entry);
    Backend backend;
    msix.set_backend(&backend);
    EXPECT_THAT(backend.events, ElementsAre("0 -> fee00000:30"));
}

/// As a guest drives it: MSI-X enable and bus mastering by configuration writes.
TEST(Msix, NeedsBusMasteringToInterrupt) {
    test::RecordedHandler registers;
    PciDevice device(fusion_blk_spec("disk", registers, 1));
    Backend backend;
    device.msix()->set_backend(&backend);
    std::byte entry[8]{};
    put_value(entry, 0xfee0'0000);
    device.msix()->write_table(0, entry);
    put_value(entry, 0x30);
    device.msix()->write_table(8, entry);

    device.write_config(0x42, 2, 0x8000);
    EXPECT_EQ(device.read_config(0x42, 2), 0x8000u);
    device.interrupt(0).raise();
    EXPECT_THAT(backend.events, IsEmpty());
    device.write_config(pci::command, 2, pci::command_master);
    EXPECT_THAT(backend.events, ElementsAre("0 -> fee00000:30", "0 !"));
    device.write_config(0x43, 1, 0xc0);
    EXPECT_EQ(backend.events.back(), "0 -> none") << "function mask, by a byte";
}

TEST(Msix, NoInterruptIsLostBetweenMaskingAndRaising) {
    struct Counter final : MsixBackend {
        std::uint64_t delivered = 0;
        bool routed = false;
        void route(unsigned, const std::optional<MsiMessage>& message) override {
            routed = message.has_value();
        }
        void deliver(unsigned) override {
            EXPECT_TRUE(routed);
            ++delivered;
        }
    } backend;
    Msix msix(1);
    msix.set_backend(&backend);
    msix.set_control(true, false);
    const auto write = [&msix](std::uint64_t offset, std::uint64_t value) {
        std::byte bytes[4]{};
        put_value(bytes, value);
        msix.write_table(offset, bytes);
    };
    write(0, 0xfee0'0000);
    {
        std::jthread device([&msix] {
            for (int i = 0; i < 5000; ++i) msix.line(0).raise();
        });
        for (std::uint64_t i = 0; i < 5000; ++i) write(12, i % 2);
        device.join();
        write(12, 0);
    }
    const auto counts = msix.counts();
    EXPECT_EQ(counts.delivered, backend.delivered);
    EXPECT_GE(counts.delivered + counts.pended, 5000u);
    EXPECT_GE(counts.delivered, 1u);
}

}  // namespace
}  // namespace exo::vmm
