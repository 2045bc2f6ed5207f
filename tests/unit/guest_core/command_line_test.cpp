#include "guest/kernel/command_line.h"

#include <gtest/gtest.h>

namespace exo::guest {
namespace {

TEST(CommandLine, SplitsOptionsFromTheCommand) {
    const CommandLine line("  quiet  timeout=5\t-- sum 0 -- x \r\n");
    EXPECT_EQ(line.options(), "quiet  timeout=5");
    EXPECT_EQ(line.command(), "sum 0 -- x");
    EXPECT_EQ(line.option("timeout"), "5");
    EXPECT_EQ(line.option("quiet"), "");
    EXPECT_EQ(line.option("sum"), std::nullopt);
    EXPECT_EQ(line.option("time"), std::nullopt);
}

TEST(CommandLine, HasNoCommandWithoutTheDashes) {
    EXPECT_EQ(CommandLine("").command(), "");
    EXPECT_EQ(CommandLine("a=b c").command(), "");
    EXPECT_EQ(CommandLine("a=b --").command(), "");
    EXPECT_EQ(CommandLine("--x=1 ---").command(), "");
    EXPECT_EQ(CommandLine("--x=1 ---").option("--x"), "1");
}

TEST(CommandLine, HasACommandWithoutOptions) {
    const CommandLine line("-- selftest");
    EXPECT_EQ(line.options(), "");
    EXPECT_EQ(line.command(), "selftest");
}

TEST(CommandLine, CountsTheLastOfEqualOptions) {
    const CommandLine line("a=1 a=2=3 a=");
    EXPECT_EQ(line.option("a"), "");
    EXPECT_EQ(CommandLine("a=1 a=2=3").option("a"), "2=3");
}

}  // namespace
}  // namespace exo::guest
