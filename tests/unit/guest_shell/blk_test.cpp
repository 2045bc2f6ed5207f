#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/guest_shell/apps_fixture.h"

namespace exo::guest::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct BlkTest : AppsTest {
    /// How often a text occurs in the output.
    std::size_t count(std::string_view text) const {
        std::size_t found = 0;
        for (std::size_t at = 0; (at = terminal.output.find(text, at)) != std::string::npos; ++at) ++found;
        return found;
    }
};

TEST_F(BlkTest, ListsDisksWithTheirModes) {
    attach_virtio(64);
    start_virtio();
    EXPECT_EQ(0u, run("blk"));
    EXPECT_THAT(terminal.output, HasSubstr("disk0  virtio-blk       1  adaptive   "));
    EXPECT_EQ(0u, run("blk mode disk0 polling"));
    EXPECT_EQ(0u, run("blk list --json"));
    EXPECT_THAT(terminal.output, HasSubstr("\"mode\":\"polling\",\"now\":\"polling\""));
    EXPECT_EQ(0u, run("blk mode 0 adaptive --price 100"));
    EXPECT_EQ(100u, disk_registry().first()->device->price().thousandths);
    EXPECT_EQ(std::nullopt, disk_registry().first()->device->mode());
}

TEST_F(BlkTest, SaysWhatItDoesNotTake) {
    EXPECT_EQ(1u, run("blk stats"));
    EXPECT_EQ("blk: there is no disk of data; give the machine one\n", terminal.output);
    attach_ide().attach(0, 64);
    find_legacy_ide_disks(fake, disk_registry());
    EXPECT_EQ(1u, run("blk mode 0 batch"));
    EXPECT_EQ("blk: disk0: no batch mode: this disk has interrupt and polling only\n", terminal.output);
    EXPECT_EQ(2u, run("blk mode 0 fast"));
    EXPECT_EQ(2u, run("blk mode 0"));
    EXPECT_EQ(2u, run("blk mode 0 polling --price much"));
    EXPECT_EQ(2u, run("blk what"));
    EXPECT_EQ(2u, run("blk bench --rw all"));
    EXPECT_EQ(2u, run("blk bench --depth many"));
    EXPECT_EQ(2u, run("blk bench --bs 4q"));
    EXPECT_EQ(2u, run("blk bench --bs 99999999999999999999"));
    EXPECT_EQ(1u, run("blk trace 7"));
    EXPECT_EQ("blk: there is no disk \"7\"; `blk` lists them\n", terminal.output);
    for (const std::string_view load : {"--bs 100", "--bs 1m", "--depth 0", "--depth 129", "--jobs 0",
                                        "--jobs 33", "--bs 512 --depth 64", "--bs 512 --jobs 2"})
        EXPECT_EQ(1u, run("blk bench --count 1 " + std::string(load))) << load;
}

TEST_F(BlkTest, WithoutAdaptiveDriversThereIsOnlyTheInterrupt) {
    attach_virtio(64);
    fake.adaptive = false;
    start_virtio();
    EXPECT_EQ(1u, run("blk mode 0 polling"));
    EXPECT_EQ("blk: disk0: no polling mode: adaptive drivers are off\n", terminal.output);
    EXPECT_EQ(0u, run("blk mode 0 interrupt"));
    EXPECT_EQ(1u, run("sum --wait polling"));
}

TEST_F(BlkTest, WritesOnlyWhatMayBeOverwritten) {
    VirtioBlkModel& model = attach_virtio(256);
    start_virtio();
    const std::vector<std::byte> before = model.disk;
    EXPECT_EQ(1u, run("blk bench --rw write --count 8"));
    EXPECT_THAT(terminal.output, HasSubstr("--destroy-data"));
    EXPECT_EQ(1u, run("blk bench --verify --destroy-data --count 8"));
    EXPECT_EQ("blk: disk0: --verify needs a pattern that writes\n", terminal.output);
    EXPECT_EQ(before, model.disk);
    EXPECT_EQ(0u, run("blk bench --rw write --count 8 --destroy-data"));
    disk_registry().disks()[0].boot = true;
    EXPECT_EQ(1u, run("blk bench 0 --rw write --count 8 --destroy-data"));
}

TEST_F(BlkTest, NothingIsWrittenToAReadOnlyDisk) {
    attach_virtio(256).offered |= 1u << 5;
    start_virtio();
    EXPECT_EQ(1u, run("blk bench --rw write --count 8 --destroy-data"));
    EXPECT_EQ("blk: disk0: it is read-only\n", terminal.output);
    EXPECT_EQ(0u, run("blk bench --count 8"));
}

TEST_F(BlkTest, ALoadInEveryModeReadsBackWhatItWrote) {
    VirtioBlkModel& model = attach_virtio(512);
    start_virtio();
    for (const std::string_view mode : {"interrupt", "polling", "hybrid", "batch", "adaptive"}) {
        EXPECT_EQ(0u, run("blk mode 0 " + std::string(mode)));
        EXPECT_EQ(0u,
                  run("blk bench --rw mixed --bs 1k --depth 5 --count 300 --verify --destroy-data --json"));
        EXPECT_THAT(terminal.output, HasSubstr("\"mode\":\"" + std::string(mode) + "\""));
        EXPECT_THAT(terminal.output, HasSubstr("\"operations\":300,"));
        EXPECT_THAT(terminal.output, HasSubstr("\"error\":\"\"")) << mode;
    }
    EXPECT_EQ(5, model.flushes);
}

TEST_F(BlkTest, ALoadFindsWhatTheDiskForgot) {
    VirtioBlkModel& model = attach_virtio(512);
    start_virtio();
    machine.on_idle = [&] {
        const bool worked = model.step();
        model.disk[777] = std::byte{0};
        return worked;
    };
    EXPECT_EQ(1u, run("blk bench --rw write --bs 512 --count 512 --verify --destroy-data"));
    EXPECT_THAT(terminal.output, HasSubstr("blk: disk0: sector 1: there is not what was written"));
}

TEST_F(BlkTest, ALoadEndsWithTheFirstError) {
    VirtioBlkModel& model = attach_virtio(512);
    start_virtio();
    model.fault = VirtioBlkModel::Fault::io_error;
    EXPECT_EQ(1u, run("blk bench --count 100"));
    EXPECT_THAT(terminal.output, HasSubstr("the device reports an error of the medium"));
    model.fault = VirtioBlkModel::Fault::none;
    terminal.press("\x03");
    EXPECT_EQ(1u, run("blk bench --count 100"));
    EXPECT_THAT(terminal.output, HasSubstr("blk: interrupted"));
}

TEST_F(BlkTest, StatisticsAndTraceTellOfALoad) {
    attach_virtio(512);
    start_virtio();
    EXPECT_EQ(0u, run("blk mode 0 polling"));
    EXPECT_EQ(0u, run("blk bench --count 200"));
    EXPECT_EQ(0u, run("blk stats --json"));
    EXPECT_THAT(terminal.output, HasSubstr("\"mode\":\"polling\",\"operations\":200,"));
    EXPECT_EQ(0u, run("blk stats"));
    EXPECT_THAT(terminal.output, HasSubstr("queue 0: polling"));
    EXPECT_EQ(0u, run("blk trace --json"));
    EXPECT_THAT(terminal.output,
                StartsWith("{\"traceEvents\":[\n{\"ph\":\"b\",\"cat\":\"io\",\"name\":\"read\""));
    EXPECT_THAT(terminal.output, testing::EndsWith("}\n]}\n"));
    EXPECT_GT(count("\"ph\":\"b\""), 10u);
    EXPECT_EQ(count("\"ph\":\"b\""), count("\"ph\":\"e\""));
    EXPECT_GT(count("\"ph\":\"i\""), 0u) << "the change to polling";
    EXPECT_EQ(std::ranges::count(terminal.output, '{'), std::ranges::count(terminal.output, '}'));
    EXPECT_EQ(0u, run("blk trace"));
    EXPECT_THAT(terminal.output, HasSubstr("polling"));
}

}  // namespace
}  // namespace exo::guest::test
