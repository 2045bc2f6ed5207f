#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/kernel/format.h"
#include "guest/kernel/sha256.h"
#include "tests/unit/guest_shell/apps_fixture.h"

namespace exo::guest::test {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

std::string digest_of(const std::vector<std::byte>& data) {
    FixedText<64> text;
    format(text, "{}", Sha256::of(data));
    return std::string(text.view());
}

class SumTest : public AppsTest, public testing::WithParamInterface<std::size_t> {};

TEST_P(SumTest, DigestsAVirtioDisk) {
    VirtioBlkModel& model = attach_virtio(GetParam());
    start_virtio();
    for (const std::string_view command :
         {"sum", "sum 0", "sum disk0 --wait polling", "sum --wait hybrid --quiet"}) {
        EXPECT_EQ(0u, run(command));
        EXPECT_EQ(digest_of(model.disk) + "  disk0\n", terminal.output) << command;
    }
}

TEST_P(SumTest, DigestsAnIdeDisk) {
    IdeModel& model = attach_ide();
    const auto& drive = model.attach(0, GetParam());
    find_legacy_ide_disks(fake, disk_registry());
    for (const std::string_view command : {"sum", "sum --wait polling"}) {
        EXPECT_EQ(0u, run(command));
        EXPECT_EQ(digest_of(drive.disk) + "  disk0\n", terminal.output) << command;
    }
}

INSTANTIATE_TEST_SUITE_P(Sectors, SumTest, testing::Values(1, 2, 3, 511, 512, 513, 2053));

TEST_F(AppsTest, SumKeepsSeveralRequestsInTheDevice) {
    VirtioBlkModel& model = attach_virtio(8 * 512);
    start_virtio();
    EXPECT_EQ(0u, run("sum"));
    EXPECT_EQ(4u, model.most_pending);
}

TEST_F(AppsTest, SumShowsProgressOnlyToAPerson) {
    VirtioBlkModel& model = attach_virtio(2048);
    start_virtio();
    machine.on_idle = [&] {
        machine.advance(200 * ns_per_ms);
        return model.step();
    };
    const std::string line = digest_of(model.disk) + "  disk0\n";
    EXPECT_EQ(0u, run("sum"));
    EXPECT_EQ(line, terminal.output);
    EXPECT_EQ(0u, run("sum --quiet", true));
    EXPECT_EQ(line, terminal.output);
    EXPECT_EQ(0u, run("sum", true));
    EXPECT_THAT(terminal.output, StartsWith("\r"));
    EXPECT_THAT(terminal.output, HasSubstr(" %  "));
    EXPECT_THAT(terminal.output, testing::EndsWith("\r\x1b[K" + line));
    EXPECT_EQ(0u, run("sum --progress"));
    EXPECT_THAT(terminal.output, StartsWith("\r"));
}

TEST_F(AppsTest, SumAsJson) {
    VirtioBlkModel& model = attach_virtio(3);
    start_virtio();
    EXPECT_EQ(0u, run("sum --json", true));
    EXPECT_THAT(terminal.output, MatchesRegex("\\{\"sha256\":\"" + digest_of(model.disk) +
                                              "\",\"disk\":\"disk0\",\"bytes\":1536,\"us\":[0-9]+,"
                                              "\"bytes_per_second\":[0-9]+\\}\n"));
}

TEST_F(AppsTest, SumSaysWhatWentWrong) {
    EXPECT_EQ(1u, run("sum"));
    EXPECT_EQ("sum: there is no disk of data; give the machine one\n", terminal.output);
    VirtioBlkModel& model = attach_virtio(5000);
    start_virtio();
    EXPECT_EQ(1u, run("sum 1"));
    EXPECT_EQ("sum: there is no disk \"1\"; `disks` lists them\n", terminal.output);
    EXPECT_EQ(2u, run("sum --wait fast"));
    EXPECT_THAT(terminal.output, HasSubstr("not \"fast\""));
    model.fault = VirtioBlkModel::Fault::io_error;
    EXPECT_EQ(1u, run("sum"));
    EXPECT_EQ("sum: disk0: stopped at sector 0: the device reports an error of the medium\n",
              terminal.output);
    model.fault = VirtioBlkModel::Fault::none;
    terminal.press("\x03");
    EXPECT_EQ(1u, run("sum"));
    EXPECT_THAT(terminal.output, HasSubstr("sector 512: interrupted"));
    machine.dma_left = 0;
    EXPECT_EQ(1u, run("sum"));
    EXPECT_EQ("sum: disk0: cannot allocate: the test says so\n", terminal.output);
    machine.dma_left = 1;
    EXPECT_EQ(0u, run("sum")) << "one buffer is enough";
}

TEST_F(AppsTest, SumPutsTheModeBack) {
    attach_virtio(5);
    start_virtio();
    run("sum --wait polling");
    EXPECT_EQ(std::nullopt, disk_registry().first()->device->mode());
}

TEST_F(AppsTest, DisksListsThem) {
    EXPECT_EQ(0u, run("disks"));
    EXPECT_EQ("there is no disk\n", terminal.output);
    VirtioBlkModel& model = attach_virtio(5);
    model.offered |= 1u << 5;
    start_virtio();
    EXPECT_EQ(0u, run("disks"));
    EXPECT_EQ(
        "NAME   DRIVER            SIZE     SECTORS  MODE WAIT       MODEL AND SERIAL\n"
        "disk0  virtio-blk     2.5 KiB           5  ro   adaptive   serial-0815\n",
        terminal.output);
    EXPECT_EQ(0u, run("disks --json"));
    EXPECT_EQ(
        "{\"disk\":\"disk0\",\"driver\":\"virtio-blk\",\"sectors\":5,\"bytes\":2560,\"logical_block\":512,"
        "\"physical_block\":4096,\"read_only\":true,\"boot\":false,\"wait\":\"adaptive\",\"model\":\"\","
        "\"serial\":\"serial-0815\"}\n",
        terminal.output);
}

TEST_F(AppsTest, HelpKnowsEveryCommand) {
    EXPECT_EQ(0u, run("help"));
    terminal.output.insert(0, "\n");
    for (const Command* command : registered_commands())
        EXPECT_THAT(terminal.output, HasSubstr("\n" + std::string(command->name) + " ")) << command->name;
    EXPECT_EQ(0u, run("help sum"));
    EXPECT_THAT(terminal.output, StartsWith("usage: sum [--json]"));
    EXPECT_EQ(1u, run("help nonsense"));
    EXPECT_EQ(2u, run("help a b"));
}

TEST_F(AppsTest, PoweroffAndExitLeaveWithAStatus) {
    EXPECT_EQ(0u, run("poweroff"));
    EXPECT_EQ(124u, run("exit 124; echo never"));
    EXPECT_EQ("", terminal.output);
    for (const std::string_view wrong :
         {"exit 125", "exit -1", "exit x", "exit 1x", "poweroff \"\"", "exit 1 2"})
        EXPECT_EQ(2u, run(wrong)) << wrong;
}

TEST_F(AppsTest, EchoAndMem) {
    EXPECT_EQ(0u, run("echo a  \"b  c\""));
    EXPECT_EQ("a b  c\n", terminal.output);
    EXPECT_EQ(0u, run("mem"));
    EXPECT_THAT(terminal.output, HasSubstr("heap used"));
    EXPECT_EQ(0u, run("mem --json"));
    EXPECT_THAT(terminal.output, StartsWith("{\"total\":"));
    EXPECT_EQ(2u, run("mem x"));
}

TEST_F(AppsTest, SelftestSaysSoWhenNothingMatches) {
    EXPECT_EQ(1u, run("selftest no-such-test"));
    EXPECT_THAT(terminal.output, HasSubstr("no test has \"no-such-test\" in its name"));
}

struct BootDiskTest : AppsTest {
    boot::BootDisk boot{};
    std::string names() {
        std::string all;
        for (const Disk& disk : disk_registry().disks()) all += std::string(disk.name()) + " ";
        return all;
    }
};

TEST_F(BootDiskTest, IsToldBySizeAndFirstSector) {
    IdeModel& model = attach_ide();
    model.attach(0, 64).disk[100] = std::byte{77};
    const auto& second = model.attach(1, 64);
    find_legacy_ide_disks(fake, disk_registry());
    EXPECT_EQ("disk0 disk1 ", names());
    std::memcpy(boot.first_sector, second.disk.data(), 512);
    boot.sectors = 65;
    disk_registry().find_boot_disk(boot, fake);
    EXPECT_EQ("disk0 disk1 ", names());
    boot.sectors = 64;
    disk_registry().find_boot_disk(boot, fake);
    EXPECT_EQ("disk0 boot ", names());
    EXPECT_EQ(disk_registry().find("boot"), &disk_registry().disks()[1]);
    EXPECT_EQ(disk_registry().first(), &disk_registry().disks()[0]);
}

TEST_F(BootDiskTest, TheFirstDiskOfDataIsAlwaysDisk0) {
    IdeModel& model = attach_ide();
    const auto& esp = model.attach(0, 64);
    model.attach(1, 8);
    find_legacy_ide_disks(fake, disk_registry());
    std::memcpy(boot.first_sector, esp.disk.data(), 512);
    boot.sectors = 64;
    disk_registry().find_boot_disk(boot, fake);
    EXPECT_EQ("boot disk0 ", names());
    EXPECT_EQ(8u, disk_registry().find("0")->device->info().sectors);
    EXPECT_EQ(8u, disk_registry().first()->device->info().sectors);
    EXPECT_EQ(nullptr, disk_registry().find("1"));
    EXPECT_EQ(nullptr, disk_registry().find(""));
}

}  // namespace
}  // namespace exo::guest::test
