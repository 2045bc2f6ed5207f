#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "guest/drivers/block/block_io.h"
#include "guest/drivers/block/ide_identity.h"
#include "guest/drivers/block/ide_probe.h"
#include "tests/unit/guest_drivers/fake_pci_config.h"
#include "tests/unit/guest_drivers/ide_model.h"

namespace exo::guest::test {
namespace {

template <typename T>
std::string_view reason(const Result<T>& result) {
    return result ? "no error" : result.error().why;
}

struct IdeTest : testing::Test {
    FakeMachine machine;
    IdeModel model{machine};
    DiskRegistry registry;

    void probe() { find_legacy_ide_disks(machine.services(), registry); }
    BlockDevice& disk(unsigned index = 0) { return *registry.disks()[index].device; }
    SyncDisk sync(unsigned index = 0, std::size_t buffer = 64 * 1024) {
        return *SyncDisk::create(disk(index), machine, buffer);
    }
};

TEST_F(IdeTest, SaysWhatTheDiskIs) {
    model.attach(0, 1001);
    probe();
    ASSERT_EQ(1u, registry.disks().size());
    const DiskInfo& info = disk().info();
    EXPECT_EQ("ide", info.driver);
    EXPECT_EQ("EXO TEST DRIVE", info.model);
    EXPECT_EQ("42-7", info.serial);
    EXPECT_EQ(1001u, info.sectors);
    EXPECT_EQ(256u * 512, info.max_transfer);
    EXPECT_TRUE(info.has_flush);
    EXPECT_TRUE(disk().queue(0).has_interrupt());
}

TEST_F(IdeTest, ADiskOfOneSector) {
    const auto& drive = model.attach(0, 1);
    probe();
    std::vector<std::byte> data(512);
    ASSERT_TRUE(sync().read(0, data));
    EXPECT_EQ(drive.disk, data);
    EXPECT_FALSE(sync().read(1, data));
}

TEST_F(IdeTest, AnEmptyBusIsRecognisedAtOnce) {
    model.floating = true;
    const std::uint64_t before = machine.now_ns();
    probe();
    EXPECT_TRUE(registry.disks().empty());
    EXPECT_EQ(before, machine.now_ns()) << "the secondary channel is not there either";
}

TEST_F(IdeTest, ADriveThatIsNotThereAndOneThatIsNoDisk) {
    model.attach(1, 8).packet = true;
    const std::uint64_t before = machine.now_ns();
    probe();
    EXPECT_TRUE(registry.disks().empty());
    EXPECT_LT(machine.now_ns() - before, ns_per_ms);
}

TEST_F(IdeTest, ABusThatRemembersNothingIsNoChannel) {
    // Reads as 0 everywhere, as some chips do in place of all ones.
    struct Zeroes final : RegisterModel {
        std::uint64_t read(std::uint64_t, unsigned) override { return 0; }
        void write(std::uint64_t, std::uint64_t, unsigned) override {}
    } zeroes;
    FakeMachine other;
    other.place_ports(0x1f0, 8, zeroes);
    other.place_ports(0x3f6, 1, zeroes);
    find_legacy_ide_disks(other.services(), registry);
    EXPECT_TRUE(registry.disks().empty());
}

struct Way {
    IoMode mode;
    bool lba48;
    std::uint16_t multiple;
};
class IdeWaitTest : public IdeTest, public testing::WithParamInterface<Way> {};

TEST_P(IdeWaitTest, ReadsAndWrites) {
    auto& drive = model.attach(0, 403);
    drive.lba48 = GetParam().lba48;
    drive.max_multiple = GetParam().multiple;
    probe();
    ASSERT_TRUE(disk().set_mode(GetParam().mode));
    auto io = sync(0, 256 * 1024);
    std::vector<std::byte> data(403 * 512);
    ASSERT_TRUE(io.read(0, data));
    EXPECT_EQ(drive.disk, data);
    std::ranges::reverse(data);
    ASSERT_TRUE(io.write(0, data));
    EXPECT_EQ(drive.disk, data);
    ASSERT_TRUE(io.flush());
    EXPECT_EQ(1, drive.flushes);
    const BlockQueueCounters& counters = disk().queue(0).counters();
    EXPECT_EQ(5u, counters.completed) << "two requests of 256 and 147 sectors each way, and a flush";
    EXPECT_EQ(0u, counters.failed);
    EXPECT_TRUE(disk().queue(0).has_interrupt());
    EXPECT_LT(machine.now_ns(), 50 * ns_per_ms) << "it slept for interrupts that do not come";
    if (GetParam().mode == IoMode::polling) {
        EXPECT_EQ(0, model.interrupts);
    } else {
        EXPECT_GT(model.interrupts, 0);
    }
    if (GetParam().multiple > 1 && GetParam().mode == IoMode::interrupt)
        EXPECT_LT(model.interrupts, 2 * 403 / 16 + 20) << "one interrupt for every 16 sectors";
}

INSTANTIATE_TEST_SUITE_P(Ways, IdeWaitTest,
                         testing::Values(Way{IoMode::interrupt, true, 16}, Way{IoMode::polling, true, 16},
                                         Way{IoMode::interrupt, true, 1}, Way{IoMode::interrupt, false, 1},
                                         Way{IoMode::polling, false, 4}));

TEST_F(IdeTest, AddressesSectorsBeyond28Bits) {
    constexpr std::uint64_t edge = std::uint64_t{1} << 28;
    auto& drive = model.attach(0, 600);
    drive.first_sector = edge - 300;
    drive.claimed_sectors = edge + 300;
    probe();
    const auto on_disk = [&](std::uint64_t sector, std::size_t size) {
        return std::span(drive.disk).subspan((sector - drive.first_sector) * 512, size);
    };
    auto io = sync(0, 256 * 512);
    std::vector<std::byte> data(256 * 512);
    ASSERT_TRUE(io.read(edge - 256, data));
    EXPECT_EQ(0xc4, model.opcodes.back()) << "a short command reaches the last sector of 28 bits";
    EXPECT_TRUE(std::ranges::equal(on_disk(edge - 256, data.size()), data));
    ASSERT_TRUE(io.read(edge - 255, data));
    EXPECT_EQ(0x29, model.opcodes.back());
    EXPECT_TRUE(std::ranges::equal(on_disk(edge - 255, data.size()), data));
    std::ranges::reverse(data);
    ASSERT_TRUE(io.write(edge + 44, data));
    EXPECT_EQ(0x39, model.opcodes.back());
    EXPECT_TRUE(std::ranges::equal(on_disk(edge + 44, data.size()), data));
}

TEST_F(IdeTest, ADriveThatIsReadyBeforeTheSleepIsNotSleptFor) {
    model.attach(0, 8);
    model.forgets_masked_interrupts = true;
    probe();
    auto memory = *DmaBuffer::allocate(machine, 512);
    const DmaSpan segment = memory.span().subspan(0, 512);
    BlockRequest request;
    request.segments = {&segment, 1};
    BlockRequest* const one[] = {&request};
    ASSERT_EQ(1u, disk().queue(0).submit(one));
    ASSERT_TRUE(model.step());
    const std::uint64_t before = machine.now_ns();
    EXPECT_FALSE(disk().queue(0).prepare_sleep(1));
    disk().queue(0).finish_sleep();
    EXPECT_EQ(1u, disk().queue(0).poll());
    EXPECT_EQ(before, machine.now_ns());
}

TEST_F(IdeTest, ScattersOverSegments) {
    const auto& drive = model.attach(0, 64);
    probe();
    auto memory = *DmaBuffer::allocate(machine, 16384);
    const DmaSpan pieces[] = {memory.span().subspan(4096, 512), memory.span().subspan(0, 1536),
                              memory.span().subspan(8192, 8192)};
    BlockRequest request;
    request.segments = pieces;
    request.sector = 3;
    ASSERT_EQ(BlockStatus::ok, run(disk(), request));
    std::size_t at = 3 * 512;
    for (const DmaSpan& piece : pieces) {
        EXPECT_TRUE(std::ranges::equal(std::span(drive.disk).subspan(at, piece.size), piece.bytes()));
        at += piece.size;
    }
}

TEST_F(IdeTest, TwoDrivesTakeTurns) {
    const auto& first = model.attach(0, 16);
    const auto& second = model.attach(1, 16);
    probe();
    ASSERT_EQ(2u, registry.disks().size());
    auto memory = *DmaBuffer::allocate(machine, 1024);
    const DmaSpan one = memory.span().subspan(0, 512);
    const DmaSpan two = memory.span().subspan(512, 512);
    BlockRequest a;
    a.segments = {&one, 1};
    BlockRequest b;
    b.segments = {&two, 1};
    BlockRequest* const both[] = {&a, &a};
    EXPECT_EQ(1u, disk(0).queue(0).submit(both)) << "one at a time";
    EXPECT_EQ(BlockStatus::ok, run(disk(1), b)) << "waits for the other drive's request first";
    EXPECT_TRUE(a.done());
    EXPECT_TRUE(std::ranges::equal(std::span(first.disk).first(512), one.bytes()));
    EXPECT_TRUE(std::ranges::equal(std::span(second.disk).first(512), two.bytes()));
    EXPECT_EQ(1u, disk(0).queue(0).counters().completed);
    EXPECT_EQ(1u, disk(1).queue(0).counters().completed);
}

TEST_F(IdeTest, ErrorsOfTheDrive) {
    auto& drive = model.attach(0, 64);
    probe();
    auto io = sync();
    std::vector<std::byte> data(512);
    drive.error = 0x40;
    EXPECT_EQ("the device reports an error of the medium", reason(io.read(0, data)));
    drive.error = 0x10;
    EXPECT_EQ("past the end of the disk", reason(io.write(0, data)));
    drive.error = 0x04;
    EXPECT_EQ("the device does not know the operation", reason(io.read(0, data)));
    EXPECT_TRUE(io.read(0, data));
}

TEST_F(IdeTest, AStuckDriveTimesOutAndIsResetAndGoesOnWithPlainCommands) {
    auto& drive = model.attach(0, 64);
    probe();
    disk().set_timeout_ns(300 * ns_per_ms);
    auto io = sync();
    std::vector<std::byte> data(512 * 5);
    drive.stuck = true;
    EXPECT_EQ("the device did not answer in time", reason(io.read(0, data)));
    ASSERT_TRUE(io.read(1, data));
    EXPECT_EQ(0x20, model.opcodes.back()) << "a reset ends the multiple mode";
    EXPECT_TRUE(std::ranges::equal(std::span(drive.disk).subspan(512, data.size()), data));
}

TEST_F(IdeTest, ADriveThatStaysStuckFailsAtOnceFromThenOn) {
    auto& drive = model.attach(0, 64);
    probe();
    disk().set_timeout_ns(300 * ns_per_ms);
    std::vector<std::byte> data(512);
    drive.stuck = drive.stuck_for_good = true;
    EXPECT_EQ("the device did not answer in time", reason(sync().read(0, data)));
    const std::uint64_t before = machine.now_ns();
    EXPECT_EQ("the device broke its protocol and was switched off", reason(sync().read(0, data)));
    EXPECT_EQ(before, machine.now_ns());
}

TEST_F(IdeTest, ADriveThatAsksForDataWithoutEndIsGivenUp) {
    auto& drive = model.attach(0, 64);
    drive.endless = true;
    probe();
    std::vector<std::byte> data(512);
    EXPECT_EQ("the device broke its protocol and was switched off", reason(sync().write(0, data)));
    EXPECT_EQ(1u, disk().queue(0).counters().faults);
}

TEST_F(IdeTest, AStuckDriveAtStartUpIsLeftAlone) {
    model.attach(0, 64).stuck = true;
    probe();
    EXPECT_TRUE(registry.disks().empty());
}

TEST_F(IdeTest, GivesUpOnAnInterruptThatNeverComes) {
    model.attach(0, 64);
    probe();
    disk().set_mode(IoMode::interrupt);
    machine.lose_interrupts = true;
    std::vector<std::byte> data(512);
    auto io = sync();
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(io.read(0, data));
    EXPECT_FALSE(disk().queue(0).has_interrupt());
}

TEST_F(IdeTest, RandomRequestsAgainstAModelDisk) {
    auto& drive = model.attach(1, 300);
    probe();
    std::mt19937 random(9);
    std::vector<std::byte> expected = drive.disk;
    auto io = sync();
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    for (int i = 0; i < 500; ++i) {
        disk().set_mode(static_cast<IoMode>(below(2)));
        const std::size_t sector = below(300);
        std::vector<std::byte> data((1 + below(std::min<std::size_t>(40, 300 - sector))) * 512);
        if (below(2) == 0) {
            for (std::byte& byte : data) byte = static_cast<std::byte>(random());
            ASSERT_TRUE(io.write(sector, data));
            std::ranges::copy(data, expected.begin() + static_cast<std::ptrdiff_t>(sector * 512));
        } else {
            ASSERT_TRUE(io.read(sector, data));
            ASSERT_TRUE(std::ranges::equal(data, std::span(expected).subspan(sector * 512, data.size())));
        }
    }
    EXPECT_EQ(expected, drive.disk);
}

TEST_F(IdeTest, FindsNativeChannelsByTheirBars) {
    FakeMachine other;
    IdeModel native(other, 0xc100, 0xc202);
    native.attach(0, 5);
    FakePciConfig pci;
    auto& space = pci.add({0, 5, 0}, 1, 1);
    space.set8(pci_reg::class_code, 1);
    space.set8(pci_reg::subclass, 1);
    space.set8(pci_reg::interface, 0x85);
    space.set_port_bar(0, 0xc100, 8);
    space.set_port_bar(1, 0xc200, 4);
    const PciFunction function(pci, {0, 5, 0});
    EXPECT_TRUE(is_ide_controller(function));
    {
        DiskRegistry own;
        find_ide_disks(function, other.services(), own);
        ASSERT_EQ(1u, own.disks().size());
        EXPECT_FALSE(own.disks()[0].device->queue(0).has_interrupt());
        auto io = *SyncDisk::create(*own.disks()[0].device, other);
        std::vector<std::byte> data(5 * 512);
        EXPECT_TRUE(io.read(0, data));
        EXPECT_EQ(1, space.get16(pci_reg::command));
    }
}

IdeIdentifyData usable_words() {
    IdeIdentifyData words{};
    words[49] = 1u << 9;
    words[60] = 1;
    return words;
}

TEST(IdeIdentity, TheLeastThatADriveMustSay) {
    const auto identity = parse_identity(usable_words());
    ASSERT_TRUE(identity);
    EXPECT_EQ(1u, identity->sectors);
    EXPECT_FALSE(identity->lba48);
    EXPECT_FALSE(identity->has_flush);
    EXPECT_EQ(1u, identity->max_multiple);
    EXPECT_EQ("", identity->model());
}

TEST(IdeIdentity, RefusesWhatTheDriverCannotAddress) {
    auto words = usable_words();
    words[49] = 0;
    EXPECT_EQ("it knows no logical block addresses", reason(parse_identity(words)));
    words = usable_words();
    words[60] = 0;
    EXPECT_EQ("it is empty", reason(parse_identity(words)));
    words = usable_words();
    words[106] = 0x5000;
    words[117] = 2048;
    EXPECT_EQ("its sectors are not of 512 bytes", reason(parse_identity(words)));
    words = usable_words();
    words[61] = 0xffff;
    EXPECT_EQ("it claims more sectors than its commands can address", reason(parse_identity(words)));
    words[83] = 0x4400;
    words[103] = 2;
    EXPECT_EQ("it claims more sectors than its commands can address", reason(parse_identity(words)));
}

TEST(IdeIdentity, BelievesWordsOnlyWhereTheyAreValid) {
    auto words = usable_words();
    words[83] = 0xffff;
    words[106] = 0xffff;
    words[100] = 77;
    const auto identity = parse_identity(words);
    ASSERT_TRUE(identity);
    EXPECT_FALSE(identity->lba48);
    EXPECT_EQ(1u, identity->sectors);
    EXPECT_EQ(512u, identity->physical_block);
}

TEST(IdeIdentity, ReadsPhysicalSectorsAndTrimsTexts) {
    auto words = usable_words();
    words[106] = 0x6003;
    words[27] = 0x2041;  // " A"
    words[28] = 0x0142;  // an unprintable character, "B"
    words[29] = 0x2020;
    const auto identity = parse_identity(words);
    ASSERT_TRUE(identity);
    EXPECT_EQ(4096u, identity->physical_block);
    EXPECT_EQ("A B", identity->model());
}

TEST(IdeIdentity, AnythingAtAllIsParsedOrRefused) {
    std::mt19937 random(10);
    for (int i = 0; i < 20000; ++i) {
        IdeIdentifyData words;
        for (auto& word : words) word = static_cast<std::uint16_t>(random());
        words[49] |= 1u << 9;
        if (const auto identity = parse_identity(words)) {
            EXPECT_GT(identity->sectors, 0u);
            EXPECT_LE(identity->sectors, std::uint64_t{1} << 48);
            EXPECT_GE(identity->max_multiple, 1u);
        }
    }
}

}  // namespace
}  // namespace exo::guest::test
