#include "vmm/cli/escape.h"

#include <gtest/gtest.h>

#include <string>

namespace exo::vmm {
namespace {

struct Typed {
    EscapeFilter filter;
    std::string to_guest;

    EscapeFilter::Action type(const std::string& keys) {
        std::vector<std::byte> out;
        const auto action = filter.filter(std::as_bytes(std::span(keys)), out);
        for (const std::byte key : out) to_guest += static_cast<char>(key);
        return action;
    }
};

TEST(EscapeFilter, PlainKeysGoToTheGuest) {
    Typed typed;
    EXPECT_EQ(typed.type("sum 0\r\x03\x1a"), EscapeFilter::Action::none);
    EXPECT_EQ(typed.to_guest, "sum 0\r\x03\x1a");
}

TEST(EscapeFilter, QuitHelpAndSnapshot) {
    Typed typed;
    EXPECT_EQ(typed.type("a\x01x"), EscapeFilter::Action::quit);
    EXPECT_EQ(typed.type("\x01h"), EscapeFilter::Action::help);
    EXPECT_EQ(typed.type("\x01s"), EscapeFilter::Action::snapshot);
    EXPECT_EQ(typed.to_guest, "a");
}

TEST(EscapeFilter, TheTwoKeysMayComeApart) {
    Typed typed;
    EXPECT_EQ(typed.type("\x01"), EscapeFilter::Action::none);
    EXPECT_EQ(typed.type("x"), EscapeFilter::Action::quit);
}

TEST(EscapeFilter, TwiceTheEscapeSendsItOnce) {
    Typed typed;
    EXPECT_EQ(typed.type("\x01\x01x"), EscapeFilter::Action::none);
    EXPECT_EQ(typed.to_guest, "\x01x");
}

TEST(EscapeFilter, AnotherKeyAfterTheEscapeIsDropped) {
    Typed typed;
    EXPECT_EQ(typed.type("\x01qx"), EscapeFilter::Action::none);
    EXPECT_EQ(typed.to_guest, "x");
}

}  // namespace
}  // namespace exo::vmm
