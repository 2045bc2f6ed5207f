#include "guest/kernel/shell.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/guest_shell/scripted_console.h"

namespace exo::guest::test {
namespace {

std::string seen;

constexpr Command say{"say", "[word...]", "remember the words",
                      [](Arguments arguments, CommandConsole& console) {
                          for (const std::string_view word : arguments) seen += "[" + std::string(word) + "]";
                          seen += console.interactive() ? "i" : "n";
                          return status::ok;
                      }};
constexpr Command fails{"fail", "", "end with 7", [](Arguments, CommandConsole&) { return 7u; }};
constexpr Command large{"large", "", "end with too much", [](Arguments, CommandConsole&) { return 500u; }};
constexpr Command quits{"quit", "", "leave with 9", [](Arguments, CommandConsole& console) {
                            console.leave(9);
                            return 1u;
                        }};
constexpr Command waits{"wait", "", "until Ctrl-C", [](Arguments, CommandConsole& console) {
                            for (int i = 0; i < 100; ++i)
                                if (console.interrupted()) return status::failure;
                            return status::ok;
                        }};
constexpr const Command* commands[] = {&say, &fails, &large, &quits, &waits};

struct ShellTest : testing::Test {
    ShellTest() { seen.clear(); }
    ScriptedConsole terminal;
    Shell shell{terminal, commands};
};

TEST_F(ShellTest, RunsACommandWithItsArguments) {
    EXPECT_EQ(0u, shell.run("say a \"b c\""));
    EXPECT_EQ("[a][b c]n", seen);
    EXPECT_EQ("", terminal.output);
    EXPECT_EQ(0u, shell.run(""));
    EXPECT_EQ(0u, shell.run("  "));
}

TEST_F(ShellTest, GivesTheStatusOfTheLastCommand) {
    EXPECT_EQ(7u, shell.run("say;fail"));
    EXPECT_EQ(0u, shell.run("fail;say x;"));
    EXPECT_EQ("n[x]n", seen);
    EXPECT_EQ(124u, shell.run("large")) << "no status beyond what a guest may end with";
    EXPECT_EQ(9u, shell.run("quit; say never"));
    EXPECT_EQ("n[x]n", seen);
}

TEST_F(ShellTest, SaysSoWhenThereIsNoSuchCommand) {
    EXPECT_EQ(124u, shell.run("nonsense 1"));
    EXPECT_EQ("nonsense: no such command; `help` lists them all\n", terminal.output);
}

TEST_F(ShellTest, SaysSoWhenTheLineCannotBeRead) {
    EXPECT_EQ(2u, shell.run("say \"x"));
    EXPECT_EQ("cannot read the command: a double quote is not closed\n", terminal.output);
    EXPECT_EQ("", seen);
}

TEST_F(ShellTest, ReadsLinesUntilCtrlD) {
    terminal.press("say 1\rfail\r\x1b[A\x1b[A\r");
    EXPECT_EQ(0u, shell.interact());
    EXPECT_EQ("[1]i[1]i", seen);
}

TEST_F(ShellTest, LeavesWithTheStatusOfTheCommand) {
    terminal.press("quit\rsay 1\r");
    EXPECT_EQ(9u, shell.interact());
    EXPECT_EQ("", seen);
    EXPECT_EQ("exo> quit\n", terminal.output);
}

TEST_F(ShellTest, CtrlCEndsALineAndACommandAndTheRestOfItsLine) {
    terminal.press("say x\x03say 1\rwait; say 2\rignored\x03say 3\r");
    EXPECT_EQ(0u, shell.interact());
    EXPECT_EQ("[1]i[3]i", seen);
}

TEST_F(ShellTest, KeepsWhatWasTypedWhileACommandRan) {
    terminal.press("wait\rsay 1\r");
    EXPECT_EQ(0u, shell.interact());
    EXPECT_EQ("[1]i", seen);
}

TEST_F(ShellTest, CompletesNamesWhereANameIsExpected) {
    std::string_view found[8];
    EXPECT_EQ(1u, shell.complete("  fa", found));
    EXPECT_EQ("fail", found[0]);
    EXPECT_EQ(5u, shell.complete("", found));
    EXPECT_EQ("fail", found[0]) << "sorted";
    EXPECT_EQ(1u, shell.complete("help qu", found));
    EXPECT_EQ(0u, shell.complete("say qu", found));
}

struct ParseArgumentsTest : testing::Test {
    ScriptedConsole terminal;
    CommandConsole console{terminal, false};
    bool json = false;
    std::string_view mode;
    std::string_view disk = "default";
    bool parse(std::initializer_list<std::string_view> words) {
        const CommandOption options[] = {{"--json", &json}, {"--mode", nullptr, &mode}};
        std::string_view* const rest[] = {&disk};
        return parse_arguments(words, options, rest, say, console);
    }
};

TEST_F(ParseArgumentsTest, SortsOptionsFromTheRest) {
    EXPECT_TRUE(parse({}));
    EXPECT_EQ("default", disk);
    EXPECT_TRUE(parse({"--mode", "fast", "1", "--json"}));
    EXPECT_TRUE(json);
    EXPECT_EQ("fast", mode);
    EXPECT_EQ("1", disk);
}

TEST_F(ParseArgumentsTest, SaysWhatIsWrongAndHowItIsRight) {
    EXPECT_FALSE(parse({"--jsn"}));
    EXPECT_FALSE(parse({"1", "2"}));
    EXPECT_FALSE(parse({"--mode"}));
    EXPECT_EQ(
        "say: unknown option --jsn\nusage: say [word...]\n"
        "say: too many arguments: \"2\"\nusage: say [word...]\n"
        "say: --mode needs a value\nusage: say [word...]\n",
        terminal.output);
}

}  // namespace
}  // namespace exo::guest::test
