#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <set>

#include "tests/unit/cli/test_files.h"

namespace exo::vmm {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Outcome {
    int status;
    std::string output;
};

/// Runs the program as a user does, with `environment` before it and no standard input.
Outcome vmm(const std::string& arguments, const std::string& environment = "") {
    const std::string command = environment + " " EXO_VMM " " + arguments + " 2>&1 </dev/null";
    std::FILE* pipe = ::popen(command.c_str(), "r");
    std::string output;
    std::array<char, 4096> buffer;
    while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe))
        output.append(buffer.data(), got);
    const int status = ::pclose(pipe);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
}

struct BadInput : testing::Test {
    TestFolder folder;
    std::string kernel = folder.put("exo.efi", efi_application());

    std::set<std::string> files() const {
        std::set<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
            names.insert(entry.path().filename());
        return names;
    }

    void expect_refused(const std::string& arguments, const char* text,
                        const std::string& environment = "") const {
        const auto before = files();
        const Outcome outcome = vmm(arguments, environment);
        EXPECT_EQ(outcome.status, 125) << arguments;
        EXPECT_THAT(outcome.output, StartsWith("vmm: ")) << arguments;
        EXPECT_THAT(outcome.output, HasSubstr(text)) << arguments;
        EXPECT_EQ(files(), before) << "nothing is written";
    }
};

TEST_F(BadInput, Usage) {
    expect_refused("", "See vmm --help");
    expect_refused("run --frobnicate", "--frobnicate");
    expect_refused("run --kernel " + kernel + " --cpus 1000", "1 to 64");
    expect_refused("run --kernel " + kernel + " --memory 1M", "the firmware needs");
    expect_refused("run --kernel " + kernel + " --memory 4000000G", "this host has");
    expect_refused("run --kernel " + kernel + " --boot direct", "without a kernel in a section '.kernel'");
    expect_refused("run --kernel " + folder.put("text", "hello") + " --boot direct", "not an ELF file");
    expect_refused("run --kernel " + kernel + " --disk a,type=ide", "no property of a disk");
}

TEST_F(BadInput, Kernel) {
    expect_refused("run --kernel " + (folder / "absent"), "No such file");
    expect_refused("run --kernel " + folder.put("empty", ""), "the file is empty");
    expect_refused("run --kernel " + folder.put("text", "hello"), "not a PE file");
}

TEST_F(BadInput, Firmware) {
    const std::string run = "run --kernel " + kernel;
    expect_refused(run + " --firmware " + (folder / "absent.fd"), "no such file");
    expect_refused(run + " --firmware " + folder.put("CODE.fd", "short"), "no UEFI firmware volume");
}

TEST_F(BadInput, MetricsThatCannotBeWritten) {
    expect_refused("run --kernel " + kernel + " --metrics " + (folder / "absent/m.json"),
                   "cannot write --metrics");
}

TEST_F(BadInput, HelpAndVersionAreNoErrors) {
    EXPECT_EQ(vmm("--help").status, 0);
    EXPECT_THAT(vmm("run --help").output, HasSubstr("--disk FILE[,type=virtio][,readonly][,direct]"));
    EXPECT_THAT(vmm("--version").output, StartsWith("vmm 0."));
}

TEST_F(BadInput, DoctorSaysWhatIsMissing) {
    const Outcome outcome = vmm("doctor");
    EXPECT_TRUE(outcome.status == 0 || outcome.status == 125);
    EXPECT_THAT(outcome.output, HasSubstr(outcome.status == 0 ? "vmm run works on this host" : "NO  "));
    for (const char* subject : {"processor", "kvm", "firmware", "disks", "memory"})
        EXPECT_THAT(outcome.output, HasSubstr(subject));
}

}  // namespace
}  // namespace exo::vmm
