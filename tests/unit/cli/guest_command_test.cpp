#include "vmm/cli/guest_command.h"

#include <gtest/gtest.h>

#include <vector>

namespace exo::vmm {
namespace {

std::string line(std::vector<std::string> words) {
    return kernel_command_line("", words);
}

TEST(GuestCommand, NoWordsMeansTheShell) {
    EXPECT_EQ(line({}), "");
}

TEST(GuestCommand, PlainWordsStayAsTheyAre) {
    EXPECT_EQ(line({"sum", "0"}), "-- sum 0");
    EXPECT_EQ(line({"a=b", "--", "-x"}), "-- a=b -- -x");
}

TEST(GuestCommand, WordsThatWouldComeApartAreQuoted) {
    EXPECT_EQ(line({"echo", "a b"}), R"(-- echo "a b")");
    EXPECT_EQ(line({"echo", ""}), R"(-- echo "")");
    EXPECT_EQ(line({R"(say "hi")"}), R"(-- "say \"hi\"")");
    EXPECT_EQ(line({R"(back\slash)"}), R"(-- "back\\slash")");
    EXPECT_EQ(line({"tab\there", "line\nend"}), "-- \"tab\there\" \"line\nend\"");
}

TEST(GuestCommand, OptionsComeFirst) {
    EXPECT_EQ(kernel_command_line("scheduler=round-robin", {}), "scheduler=round-robin");
    const std::vector<std::string> words = {"sum", "0"};
    EXPECT_EQ(kernel_command_line("cpus=1 scheduler=round-robin", words),
              "cpus=1 scheduler=round-robin -- sum 0");
}

}  // namespace
}  // namespace exo::vmm
