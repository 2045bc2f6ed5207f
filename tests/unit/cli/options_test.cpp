#include "vmm/cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/machine/layout.h"

namespace exo::vmm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Result<Command> parse(std::vector<const char*> arguments) {
    return parse_arguments(arguments);
}

RunOptions run_options(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), {"run", "--kernel", "exo.efi"});
    const auto command = parse(arguments);
    if (!command) {
        ADD_FAILURE() << command.error().message();
        return {};
    }
    return std::get<RunOptions>(*command);
}

void expect_refused(std::vector<const char*> arguments, const char* text) {
    const auto command = parse(arguments);
    ASSERT_FALSE(command) << text;
    EXPECT_THAT(command.error().message(), HasSubstr(text));
    EXPECT_FALSE(command.error().action.empty()) << "what to do about: " << command.error().message();
}

void expect_run_refused(std::vector<const char*> arguments, const char* text) {
    arguments.insert(arguments.begin(), {"run", "--kernel", "exo.efi"});
    expect_refused(arguments, text);
}

TEST(Options, Defaults) {
    const RunOptions options = run_options({});
    EXPECT_EQ(options.kernel, "exo.efi");
    EXPECT_EQ(options.firmware, "auto");
    EXPECT_EQ(options.cpus, 1u);
    EXPECT_EQ(options.memory, 256 * layout::mib);
    EXPECT_TRUE(options.disks.empty());
    EXPECT_TRUE(options.guest_command.empty());
}

TEST(Options, EverythingGiven) {
    const RunOptions options = run_options(
        {"--firmware", "F.fd", "--boot", "uefi", "--cpus=4", "--memory", "1G", "--disk", "a.img", "--disk",
         "b.img,type=fusion,readonly,direct", "--metrics", "m.json", "--trace-io", "t", "--", "sum", "--x"});
    EXPECT_EQ(options.firmware, "F.fd");
    EXPECT_EQ(options.cpus, 4u);
    EXPECT_EQ(options.memory, layout::gib);
    ASSERT_EQ(options.disks.size(), 2u);
    EXPECT_EQ(options.disks[0].path, "a.img");
    EXPECT_FALSE(options.disks[0].read_only || options.disks[0].direct);
    EXPECT_EQ(options.disks[1].path, "b.img");
    EXPECT_TRUE(options.disks[1].read_only && options.disks[1].direct);
    EXPECT_EQ(options.metrics, "m.json");
    EXPECT_EQ(options.trace_io, "t");
    EXPECT_THAT(options.guest_command, ElementsAre("sum", "--x"));
}

TEST(Options, OnlyTheFirstDashesEndTheOptions) {
    EXPECT_THAT(run_options({"--", "echo", "--", "--cpus"}).guest_command,
                ElementsAre("echo", "--", "--cpus"));
}

TEST(Options, HelpAndVersionAreInformation) {
    for (const char* flag : {"--help", "-h", "--version"}) {
        const auto command = parse({flag});
        ASSERT_TRUE(command);
        EXPECT_TRUE(std::holds_alternative<Information>(*command)) << flag;
    }
    const std::string help = std::get<Information>(*parse({"run", "--help"})).text;
    EXPECT_THAT(help, HasSubstr("--kernel FILE"));
    EXPECT_THAT(help, HasSubstr("Ctrl-A x"));
    EXPECT_THAT(help, HasSubstr("type=virtio"));
    EXPECT_TRUE(std::holds_alternative<DoctorOptions>(*parse({"doctor"})));
}

TEST(Options, CpuCounts) {
    EXPECT_EQ(run_options({"--cpus", "64"}).cpus, 64u);
    for (const char* count : {"0", "65", "-1", "many", "", "1.5", "4294967297"})
        expect_run_refused({"--cpus", count}, "1 to 64");
}

TEST(Options, MemorySizes) {
    EXPECT_EQ(run_options({"--memory", "64M"}).memory, 64 * layout::mib);
    expect_run_refused({"--memory", "24M"}, "the firmware needs");
    expect_run_refused({"--memory", "0"}, "the firmware needs");
    expect_run_refused({"--memory", "100T"}, "this host has");
    expect_run_refused({"--memory", "65537K"}, "whole MiB");
    expect_run_refused({"--memory", "lots"}, "'lots' is no size");
}

TEST(Options, Variables) {
    EXPECT_EQ(run_options({}).variables, "");
    EXPECT_EQ(run_options({"--variables", "g.vars"}).variables, "g.vars");
    expect_run_refused({"--variables", "g.vars", "--trace-io", "t"}, "read-only variables");
}

TEST(Options, WaysToBoot) {
    EXPECT_EQ(run_options({}).boot, BootMethod::uefi);
    EXPECT_EQ(run_options({"--boot", "direct"}).boot, BootMethod::direct);
    expect_run_refused({"--boot", "bios"}, "no such way");
    expect_run_refused({"--boot", "direct", "--firmware", "OVMF.fd"}, "without firmware");
    expect_run_refused({"--boot", "direct", "--variables", "g.vars"}, "without firmware");
}

TEST(Options, DisksThatMakeNoSense) {
    expect_run_refused({"--disk", ""}, "the file is missing");
    expect_run_refused({"--disk", ",readonly"}, "the file is missing");
    expect_run_refused({"--disk", "a.img,writeonly"}, "'writeonly' is no property");
    expect_run_refused({"--disk", "a.img,"}, "'' is no property");
    std::vector<const char*> many;
    for (unsigned i = 0; i <= layout::disk_slots; ++i) many.insert(many.end(), {"--disk", "a.img"});
    many.insert(many.begin(), {"run", "--kernel", "exo.efi"});
    const auto command = parse(many);
    ASSERT_FALSE(command);
    EXPECT_THAT(command.error().message(), HasSubstr("free slots"));
}

TEST(Options, WhatADiskIsServedWith) {
    const auto options = run_options(
        {"--disk", "a.img,poll=20,queues=3,iops=100,bytes=4M", "--disk", "b.img,poll=0", "--disk", "c.img"});
    EXPECT_EQ(options.disks[0].poll, std::chrono::microseconds(20));
    EXPECT_EQ(options.disks[0].queues, 3u);
    EXPECT_EQ(options.disks[0].rates.operations, 100u);
    EXPECT_EQ(options.disks[0].rates.bytes, 4u << 20);
    EXPECT_EQ(options.disks[1].poll, std::chrono::microseconds(0));
    EXPECT_FALSE(options.disks[2].poll);
    EXPECT_EQ(options.disks[2].queues, 0u);
    EXPECT_FALSE(options.disks[2].rates.limited());
    for (const char* wrong : {"poll=", "poll=-1", "poll=1000001", "poll=1us", "queues=0", "queues=17",
                              "iops=0", "iops=1.5", "bytes=0", "bytes=many", "depth=3", "poll", "type"})
        expect_run_refused({"--disk", (std::string("a.img,") + wrong).c_str()}, "is no property of a disk");
    expect_run_refused({"--disk", "a.img,queues=17"}, "queues takes a whole number from 1 to 16");
    expect_run_refused({"--disk", "a.img,bytes=0"}, "bytes takes a size");
}

TEST(Options, KindsOfDisks) {
    const auto options = run_options(
        {"--disk", "a.img,type=virtio,readonly", "--disk", "b.img,type=fusion", "--disk", "c.img"});
    EXPECT_EQ(options.disks[0].kind, DiskKind::virtio);
    EXPECT_TRUE(options.disks[0].read_only);
    EXPECT_EQ(options.disks[1].kind, DiskKind::fusion);
    EXPECT_EQ(options.disks[2].kind, DiskKind::fusion);
    expect_run_refused({"--disk", "a.img,type=ide"}, "'type=ide' is no property");
    expect_run_refused({"--disk", "a.img,type=virtio", "--trace-io", "t"}, "replayed with fusion disks");
}

TEST(Options, LinuxNeedsInitrdAndCommandLine) {
    const auto options = run_options({"--initrd", "initrd.img", "--append", "console=ttyS0 root=/dev/vda"});
    EXPECT_EQ(options.initrd, "initrd.img");
    EXPECT_EQ(options.append, "console=ttyS0 root=/dev/vda");
}

TEST(Options, KernelIsOptionalWhereTheFirmwareFindsOne) {
    const auto command = parse({"run", "--disk", "a.img,type=virtio"});
    ASSERT_TRUE(command);
    EXPECT_EQ(std::get<RunOptions>(*command).kernel, "");
    expect_refused({"run", "--disk", "a.img"}, "there is nothing to boot");
    expect_refused({"run", "--disk", "a.img,type=virtio", "--append", "quiet"}, "--kernel is missing");
    expect_refused({"run", "--disk", "a.img,type=virtio", "--", "sum"}, "--kernel is missing");
    expect_refused({"run", "--disk", "a.img,type=virtio", "--initrd", "i"}, "--kernel is missing");
}

TEST(Options, UsageErrors) {
    expect_refused({}, "not understood");
    expect_refused({"fly"}, "not understood");
    expect_refused({"run"}, "there is nothing to boot");
    expect_refused({"run", "--kernel"}, "not understood");
    expect_run_refused({"--frobnicate"}, "--frobnicate");
    expect_run_refused({"sum"}, "not understood");
}

TEST(Options, TuneOnlyReadsADiskUnlessToldOtherwise) {
    const auto reads =
        parse({"tune", "--disk", "a.img,direct", "--rounds", "5", "--quick", "--json", "t.json"});
    ASSERT_TRUE(reads);
    const auto& options = std::get<TuneOptions>(*reads);
    EXPECT_EQ(options.disk, "a.img,direct");
    EXPECT_EQ(options.rounds, 5u);
    EXPECT_TRUE(options.quick);
    EXPECT_FALSE(options.anyway);
    EXPECT_EQ(options.json, "t.json");
    EXPECT_FALSE(options.operations.writes());

    expect_refused({"tune", "--disk", "a.img", "--rw", "randwrite"}, "overwrites");
    EXPECT_TRUE(parse({"tune", "--rw", "randwrite"})) << "the disk in memory is nobody's";
    const auto writes = parse({"tune", "--disk", "a.img", "--rw", "mixed", "--destroy-data"});
    ASSERT_TRUE(writes);
    EXPECT_TRUE(std::get<TuneOptions>(*writes).operations.writes());
}

TEST(Options, TuneRefusesWhatItWouldNotUse) {
    expect_refused({"tune", "--disk", "a.img,poll=5"}, "what is looked for");
    expect_refused({"tune", "--disk", "a.img,queues=1"}, "what is looked for");
    expect_refused({"tune", "--disk", "a.img,odd"}, "no property");
    expect_refused({"tune", "--rw", "sideways"}, "sideways");
    expect_refused({"tune", "--rounds", "0"}, "not understood");
    const std::string help = std::get<Information>(*parse({"tune", "--help"})).text;
    EXPECT_THAT(help, HasSubstr("Usage: vmm tune"));
    EXPECT_THAT(help, HasSubstr("--anyway"));
}

}  // namespace
}  // namespace exo::vmm
