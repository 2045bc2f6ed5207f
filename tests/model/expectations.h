// What a test expects of a scenario.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "explorer.h"

namespace exo::model {

/// No schedule fails. Reports a failure with all that is needed to look into it.
inline void expect_correct(const Scenario& scenario) {
    if (const char* schedule = std::getenv("EXO_MODEL_SCHEDULE")) {
        const Failure failure = replay(scenario, schedule);
        FAIL() << failure.trace << failure.what;
    }
    const Result result = explore(scenario);
    testing::Test::RecordProperty("states", std::to_string(result.states));
    if (result.failure) {
        const auto* test = testing::UnitTest::GetInstance()->current_test_info();
        FAIL() << result.failure->trace << result.failure->what
               << "\nreplay: EXO_MODEL_SCHEDULE=" << result.failure->schedule
               << " --gtest_filter=" << test->test_suite_name() << "." << test->name();
    }
    EXPECT_GT(result.states, 2U) << "there was hardly anything to choose";
    if (explores_everything) EXPECT_TRUE(result.complete) << "gave up after " << result.states << " states";
}

/// Some schedule fails, for a reason that has `what` in it, and fails alike when it is replayed.
inline void expect_found(const Scenario& scenario, std::string_view what = "") {
    const Result result = explore(scenario);
    ASSERT_TRUE(result.failure) << "not found in " << result.states << " states";
    EXPECT_NE(result.failure->what.find(what), std::string::npos) << result.failure->what;
    EXPECT_EQ(replay(scenario, result.failure->schedule).what, result.failure->what);
}

}  // namespace exo::model
