#include "vmm/machine/io_bus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/machine/fakes.h"

namespace exo::vmm {
namespace {

using test::read_value;
using test::RecordedHandler;
using test::write_value;
using Access = RecordedHandler::Access;
using testing::ElementsAre;

TEST(IoBus, HandlerSeesOffsetSizeAndValue) {
    IoBus bus;
    RecordedHandler handler;
    bus.add_at("device", {0x100, 0x10}, handler);

    EXPECT_EQ(read_value(bus, 0x104, 2), 4u);
    write_value(bus, 0x108, 4, 0xdeadbeef);
    EXPECT_THAT(handler.accesses, ElementsAre(Access{false, 4, 2, 4}, Access{true, 8, 4, 0xdeadbeef}));
}

TEST(IoBus, UnclaimedReadsAreOnesOfEverySize) {
    IoBus bus;
    EXPECT_EQ(read_value(bus, 0x80, 1), 0xffu);
    EXPECT_EQ(read_value(bus, 0x80, 2), 0xffffu);
    EXPECT_EQ(read_value(bus, 0x80, 4), 0xffff'ffffu);
    EXPECT_EQ(read_value(bus, 0x80, 8), UINT64_MAX);
    write_value(bus, 0x80, 8, 0);
}

TEST(IoBus, EarlierRangeAnswersWhereRangesOverlap) {
    IoBus bus;
    RecordedHandler first;
    RecordedHandler second;
    bus.add_at("first", {0x10, 4}, first);
    bus.add_at("second", {0x0c, 0x10}, second);

    read_value(bus, 0x0c, 4);
    read_value(bus, 0x10, 4);
    read_value(bus, 0x14, 4);
    EXPECT_THAT(first.accesses, ElementsAre(Access{false, 0, 4, 0}));
    EXPECT_THAT(second.accesses, ElementsAre(Access{false, 0, 4, 0}, Access{false, 8, 4, 8}));
}

TEST(IoBus, OrderOfPlacingDoesNotDecideWhoAnswers) {
    IoBus bus;
    RecordedHandler first;
    RecordedHandler second;
    const auto early = bus.add("first", 4, first);
    bus.add_at("second", {0, 0x10}, second);
    bus.place(early, 4);
    read_value(bus, 4, 1);
    EXPECT_EQ(first.accesses.size(), 1u);
    EXPECT_TRUE(second.accesses.empty());
}

TEST(IoBus, AccessAcrossRangesIsTakenApart) {
    IoBus bus;
    RecordedHandler low;
    RecordedHandler high;
    bus.add_at("low", {0x10, 2}, low);
    bus.add_at("high", {0x13, 2}, high);

    EXPECT_EQ(read_value(bus, 0x10, 4), 0x00ff'0100u);
    write_value(bus, 0x10, 4, 0x4433'2211);
    EXPECT_THAT(low.accesses, ElementsAre(Access{false, 0, 1, 0}, Access{false, 1, 1, 1},
                                          Access{true, 0, 1, 0x11}, Access{true, 1, 1, 0x22}));
    EXPECT_THAT(high.accesses, ElementsAre(Access{false, 0, 1, 0}, Access{true, 0, 1, 0x44}));
}

TEST(IoBus, AccessThatBeginsBeforeARangeReachesIt) {
    IoBus bus;
    RecordedHandler handler;
    bus.add_at("device", {0x10, 8}, handler);
    EXPECT_EQ(read_value(bus, 0x0e, 4), 0x0100'ffffu);
}

TEST(IoBus, RangesMoveAndLeave) {
    IoBus bus;
    RecordedHandler handler;
    const auto range = bus.add("bar", 0x1000, handler);
    EXPECT_EQ(read_value(bus, 0x8000'0000, 4), 0xffff'ffffu);
    bus.place(range, 0x8000'0000);
    EXPECT_EQ(read_value(bus, 0x8000'0010, 4), 0x10u);
    bus.place(range, 0x9000'0000);
    EXPECT_EQ(read_value(bus, 0x8000'0010, 4), 0xffff'ffffu);
    EXPECT_EQ(read_value(bus, 0x9000'0020, 4), 0x20u);
    bus.withdraw(range);
    EXPECT_EQ(read_value(bus, 0x9000'0020, 4), 0xffff'ffffu);
}

TEST(IoBus, RangeThatWouldWrapIsNowhere) {
    IoBus bus;
    RecordedHandler handler;
    const auto range = bus.add("top", 0x100, handler);
    bus.place(range, 0x1000);
    bus.place(range, UINT64_MAX - 0x10);
    EXPECT_EQ(read_value(bus, 0x1000, 4), 0xffff'ffffu);
    EXPECT_EQ(read_value(bus, UINT64_MAX - 0x10, 4), 0xffff'ffffu);
    EXPECT_EQ(read_value(bus, 0, 4), 0xffff'ffffu);
    EXPECT_EQ(read_value(bus, UINT64_MAX - 2, 8), UINT64_MAX);
    bus.place(range, UINT64_MAX - 0x100);
    EXPECT_EQ(read_value(bus, UINT64_MAX - 0xfe, 1), 2u);
}

TEST(IoBus, CountsPerRange) {
    IoBus bus;
    RecordedHandler handler;
    bus.add_at("device", {0, 4}, handler);
    read_value(bus, 0, 4);
    read_value(bus, 0, 1);
    write_value(bus, 0, 1, 0);
    write_value(bus, 8, 1, 0);

    const auto counts = bus.counts();
    ASSERT_EQ(counts.size(), 2u);
    EXPECT_EQ(counts[0].name, "device");
    EXPECT_EQ(counts[0].reads, 2u);
    EXPECT_EQ(counts[0].writes, 1u);
    EXPECT_EQ(counts[1].name, "unclaimed");
    EXPECT_EQ(counts[1].writes, 1u);
}

struct Observed final : IoObserver {
    std::vector<Access> accesses;
    void accessed(IoDirection direction, std::uint64_t address, std::span<const std::byte> data) override {
        accesses.push_back({direction == IoDirection::write, address, data.size(), value_of(data)});
    }
};

TEST(IoBus, ObserverSeesWholeAccessesWithTheirValues) {
    IoBus bus;
    RecordedHandler handler;
    Observed observer;
    bus.add_at("device", {0x10, 2}, handler);
    bus.set_observer(&observer);
    read_value(bus, 0x11, 2);
    write_value(bus, 0x80, 1, 7);
    EXPECT_THAT(observer.accesses, ElementsAre(Access{false, 0x11, 2, 0xff01}, Access{true, 0x80, 1, 7}));
}

TEST(IoBus, FirstRangeIsCountedButNotObserved) {
    IoBus bus;
    RecordedHandler timer;
    Observed observer;
    const auto range = bus.add_at("timer", {0xb008, 4}, timer);
    bus.put_first(range);
    bus.set_observer(&observer);
    read_value(bus, 0xb008, 4);
    read_value(bus, 0xb00a, 2);
    EXPECT_THAT(timer.accesses, ElementsAre(Access{false, 0, 4, 0}, Access{false, 2, 2, 2}));
    EXPECT_TRUE(observer.accesses.empty());
    EXPECT_EQ(bus.counts()[0].reads, 2u);

    EXPECT_EQ(read_value(bus, 0xb00b, 2), 0xff03u) << "half of it lies outside";
    bus.withdraw(range);
    EXPECT_EQ(read_value(bus, 0, 4), 0xffff'ffffu) << "a range that is nowhere is not at port 0";
}

TEST(IoBus, FirstRangeHidesNoRangeBeforeIt) {
    IoBus bus;
    RecordedHandler serial;
    RecordedHandler timer;
    bus.add_at("serial", {0x3f8, 8}, serial);
    bus.put_first(bus.add_at("timer", {0x3f8, 4}, timer));
    read_value(bus, 0x3f8, 1);
    EXPECT_EQ(serial.accesses.size(), 1u);
    EXPECT_TRUE(timer.accesses.empty());
}

TEST(IoBus, FirstRangeHiddenInPartKeepsItsOffsets) {
    IoBus bus;
    RecordedHandler serial;
    RecordedHandler timer;
    bus.add_at("serial", {0x3f8, 8}, serial);
    bus.put_first(bus.add_at("timer", {0x3fe, 4}, timer));
    EXPECT_EQ(read_value(bus, 0x3ff, 1), 7u);
    EXPECT_EQ(read_value(bus, 0x400, 1), 2u);
}

/// Moves itself while it is being written, as a PCI configuration write does.
struct SelfMoving final : IoHandler {
    IoBus* bus = nullptr;
    IoBus::RangeId range{};
    void read(std::uint64_t, std::span<std::byte> data) override { put_value(data, 0x5a); }
    void write(std::uint64_t, std::span<const std::byte> data) override { bus->place(range, value_of(data)); }
};

TEST(IoBus, HandlerMayMoveRangesWhileItRuns) {
    IoBus bus;
    SelfMoving handler;
    handler.bus = &bus;
    handler.range = bus.add_at("mover", {0, 4}, handler);
    write_value(bus, 0, 4, 0x100);
    EXPECT_EQ(read_value(bus, 0x100, 1), 0x5au);
    EXPECT_EQ(read_value(bus, 0, 1), 0xffu);
}

TEST(IoBus, AccessesGoOnWhileRangesMove) {
    IoBus bus;
    SelfMoving handler;
    handler.bus = &bus;
    handler.range = bus.add_at("bar", {0x1000, 4}, handler);
    SelfMoving timer;
    timer.bus = &bus;
    timer.range = bus.add_at("timer", {0xb008, 4}, timer);
    bus.put_first(timer.range);

    std::vector<std::jthread> vcpus;
    for (int vcpu = 0; vcpu < 2; ++vcpu)
        vcpus.emplace_back([&bus] {
            for (int i = 0; i < 2000; ++i) {
                for (const std::uint64_t address : {0x1000u, 0x2000u, 0xb008u, 0xc008u}) {
                    const std::uint64_t value = read_value(bus, address, 1);
                    ASSERT_TRUE(value == 0x5a || value == 0xff);
                }
            }
        });
    for (int i = 0; i < 2000; ++i) {
        bus.place(handler.range, i % 2 ? 0x1000 : 0x2000);
        bus.place(timer.range, i % 2 ? 0xb008 : 0xc008);
    }
}

}  // namespace
}  // namespace exo::vmm
