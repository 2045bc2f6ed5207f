#include "guest/kernel/selftest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/kernel/services.h"
#include "tests/unit/guest_drivers/fake_machine.h"
#include "tests/unit/guest_shell/scripted_console.h"

namespace exo::guest::test {
namespace {

FakeMachine* machine_now = nullptr;

constexpr SelfTest heap_tests[] = {
    {"heap: good",
     [](TestReport& report) {
         machine_now->advance(1'234'567);
         report.expect(true, "not told");
         report.expect_equal(1u, 1u, "not told");
     }},
    {"heap: bad",
     [](TestReport& report) {
         if (!report.expect_equal(2, 3, "a number")) report.expect(false, "not told, either");
     }},
};
constexpr SelfTest disk_tests[] = {
    {"disk: none", [](TestReport& report) { report.skip("there is no disk"); }},
    {"disk: write", [](TestReport& report) { report.expect(report.may_write, "may not"); }},
};
constexpr SelfTestGroup heap_group{heap_tests};
constexpr SelfTestGroup disk_group{disk_tests};
constexpr const SelfTestGroup* tests[] = {&heap_group, &disk_group};

struct SelfTestTest : testing::Test {
    FakeMachine machine;
    DriverServices fake = machine.services();
    ScriptedConsole terminal;
    CommandConsole console{terminal, false};

    SelfTestTest() {
        machine_now = &machine;
        install_services(fake);
    }
    int run(const SelfTestOptions& options) { return run_selftests(tests, options, console); }
};

TEST_F(SelfTestTest, OneLineEachAndASum) {
    EXPECT_EQ(2, run({}));
    EXPECT_THAT(terminal.output, testing::MatchesRegex("ok    heap: good \\(1234 us\\)\n"
                                                       "FAIL  heap: bad: a number: got 2, wanted 3 at "
                                                       "tests/unit/guest_shell/selftest_test.cpp:[0-9]+\n"
                                                       "skip  disk: none: there is no disk\n"
                                                       "FAIL  disk: write: may not at .*\n"
                                                       "2 passed, 2 failed\n"));
}

TEST_F(SelfTestTest, OnlyThoseThatMatch) {
    EXPECT_EQ(0, run({.pattern = "good"}));
    EXPECT_EQ("ok    heap: good (1234 us)\n1 passed, 0 failed\n", terminal.output);
    EXPECT_EQ(-1, run({.pattern = "nothing"}));
    EXPECT_EQ(0, run({.pattern = "write", .may_write = true}));
}

TEST_F(SelfTestTest, AsJson) {
    EXPECT_EQ(1, run({.pattern = "heap", .json = true}));
    EXPECT_THAT(
        terminal.output,
        testing::MatchesRegex("\\{\"test\":\"heap: good\",\"result\":\"passed\",\"us\":1234\\}\n"
                              "\\{\"test\":\"heap: bad\",\"result\":\"failed\",\"us\":0,\"reason\":\"a "
                              "number: got 2, wanted 3\","
                              "\"file\":\"tests/.*\",\"line\":[0-9]+\\}\n"
                              "\\{\"passed\":1,\"failed\":1\\}\n"));
}

TEST_F(SelfTestTest, CtrlCStopsIt) {
    terminal.press("\x03");
    run({});
    EXPECT_EQ("0 passed, 0 failed\n", terminal.output);
}

}  // namespace
}  // namespace exo::guest::test
