#include "guest/kernel/command_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace exo::guest::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Parsed {
    std::vector<std::string> words;
    std::string rest;
    std::string error;
};

Parsed parse(std::string_view line) {
    CommandWords words;
    Parsed parsed;
    const auto result = words.parse(line);
    if (!result) parsed.error = result.error().why;
    for (const std::string_view word : words.words()) parsed.words.emplace_back(word);
    parsed.rest = line;
    return parsed;
}

TEST(CommandWords, BlanksSeparate) {
    EXPECT_THAT(parse("  sum \t disk0  ").words, ElementsAre("sum", "disk0"));
    EXPECT_THAT(parse("").words, IsEmpty());
    EXPECT_THAT(parse(" \t\r\n").words, IsEmpty());
}

TEST(CommandWords, QuotesKeepTogetherAndEscape) {
    EXPECT_THAT(parse(R"(echo "a b" c"d e"f "" "\"\\" "\n")").words,
                ElementsAre("echo", "a b", "cd ef", "", "\"\\", "\\n"));
    EXPECT_THAT(parse(R"(a\b \")").error, "a double quote is not closed") << "no escapes outside of quotes";
    EXPECT_EQ("a double quote is not closed", parse(R"(echo "a\)").error);
}

TEST(CommandWords, ASemicolonEndsTheCommand) {
    const Parsed parsed = parse("echo a;echo \";\"; ");
    EXPECT_THAT(parsed.words, ElementsAre("echo", "a"));
    EXPECT_EQ("echo \";\"; ", parsed.rest);
    EXPECT_THAT(parse(parsed.rest).words, ElementsAre("echo", ";"));
    EXPECT_THAT(parse(";x").words, IsEmpty());
    EXPECT_EQ("x", parse(";x").rest);
}

TEST(CommandWords, RefusesWhatDoesNotFit) {
    std::string many;
    for (std::size_t i = 0; i < CommandWords::max_words; ++i) many += "x ";
    EXPECT_EQ("", parse(many).error);
    EXPECT_EQ("it has too many words", parse(many + "x").error);
    EXPECT_EQ("", parse(std::string(CommandWords::max_length, 'x')).error);
    EXPECT_EQ("it is too long", parse(std::string(CommandWords::max_length + 1, 'x')).error);
}

TEST(CommandWords, AnyTextIsReadOrRefused) {
    std::mt19937 random(3);
    constexpr std::string_view letters = "ab \"\\;\t\n";
    for (int round = 0; round < 20'000; ++round) {
        std::string line(random() % 30, ' ');
        for (char& c : line) c = letters[random() % letters.size()];
        std::string_view left = line;
        CommandWords words;
        for (std::size_t turns = 0; !left.empty(); ++turns) {
            ASSERT_LE(turns, line.size()) << "no progress on " << line;
            if (!words.parse(left)) break;
        }
    }
}

}  // namespace
}  // namespace exo::guest::test
