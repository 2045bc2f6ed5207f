#include "vmm/tune/guest_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace exo::vmm::tune {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

GuestProcess shell(const std::string& script) {
    auto process = GuestProcess::start({"-c", script}, "/bin/sh");
    EXPECT_TRUE(process);
    return std::move(*process);
}

std::string line_of(GuestProcess& process) {
    const auto line = process.next_line(60s);
    return line && *line ? **line : "(none)";
}

TEST(GuestProcess, ItsOutputComesByLinesAndItsStatusInTheEnd) {
    GuestProcess process = shell("echo one; echo; printf 'three\\nno end'; exit 7");
    EXPECT_EQ(line_of(process), "one");
    EXPECT_EQ(line_of(process), "");
    EXPECT_EQ(line_of(process), "three");
    EXPECT_EQ(line_of(process), "(none)");
    EXPECT_EQ(process.wait(), 7);
}

TEST(GuestProcess, ItHasNoInput) {
    GuestProcess process = shell("cat; echo over");
    EXPECT_EQ(line_of(process), "over");
}

TEST(GuestProcess, ASignalIsAStatus) {
    EXPECT_EQ(shell("kill -TERM $$").wait(), 128 + SIGTERM);
}

TEST(GuestProcess, AProgramThatIsNotThereIsAStatus) {
    auto process = GuestProcess::start({}, "/no/such/program");
    ASSERT_TRUE(process);
    EXPECT_EQ(line_of(*process), "(none)");
    EXPECT_EQ(process->wait(), 127);
}

TEST(GuestProcess, SilenceEndsThePatience) {
    GuestProcess process = shell("exec sleep 1000");
    const auto line = process.next_line(1ms);
    ASSERT_FALSE(line);
    EXPECT_THAT(line.error().message(), HasSubstr("does not go on"));
}

TEST(GuestProcess, ItsCpuTimeGrowsWithItsWork) {
    GuestProcess process =
        shell("echo; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo; exec sleep 1000");
    line_of(process);
    const auto before = process.cpu_time();
    line_of(process);
    EXPECT_GT(process.cpu_time(), before);
}

}  // namespace
}  // namespace exo::vmm::tune
