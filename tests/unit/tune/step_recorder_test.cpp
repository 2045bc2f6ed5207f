#include "vmm/tune/step_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/tune/measured_steps.h"

namespace exo::vmm::tune {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const Load slow{.rate = 1'000};
const std::vector<Step> steps = {{fixed_ways[0], {.rate = 1}, Step::Kind::baseline},
                                 {adaptive_ways[1], slow, Step::Kind::warm_up},
                                 {adaptive_ways[1], slow, Step::Kind::measured}};

TEST(StepRecorder, AStepHasTheCpuTimeSinceTheLineBeforeLessTheBaseline) {
    StepRecorder recorder(steps);
    ASSERT_TRUE(recorder.take("Exo-OS 0.1.0", 100ms));
    ASSERT_TRUE(recorder.take(bench_line(steps[0]), 102ms));
    ASSERT_TRUE(recorder.take(bench_line(steps[1]), 150ms));
    ASSERT_TRUE(recorder.take(bench_line(steps[2]), 162ms));
    ASSERT_TRUE(recorder.finish());
    ASSERT_EQ(recorder.measured().size(), 1u);
    const auto& [step, figures] = recorder.measured()[0];
    EXPECT_EQ(step, steps[2]);
    EXPECT_DOUBLE_EQ(figures.host_cpu_ns, 10'000);  // (12 ms - 2 ms) / 1000
    EXPECT_DOUBLE_EQ(figures.guest_cpu_ns, 3'000);
    EXPECT_DOUBLE_EQ(figures.p50_ns, 8'000);
    EXPECT_DOUBLE_EQ(figures.p99_ns, 20'000);
    EXPECT_DOUBLE_EQ(figures.rate, 1'000);
    EXPECT_DOUBLE_EQ(figures.cost(10), 108'000);
}

TEST(StepRecorder, LessThanTheBaselineIsNothing) {
    StepRecorder recorder(steps);
    ASSERT_TRUE(recorder.take(bench_line(steps[0]), 20ms));
    ASSERT_TRUE(recorder.take(bench_line(steps[1]), 20ms));
    ASSERT_TRUE(recorder.take(bench_line(steps[2]), 30ms));
    EXPECT_DOUBLE_EQ(recorder.measured()[0].measurement.host_cpu_ns, 0);
}

TEST(StepRecorder, WhatTheControllerKnowsIsKept) {
    StepRecorder recorder(steps);
    ASSERT_TRUE(recorder.take(R"({"plan":"polling","service_ns":9,"interrupt_overhead_ns":8,)"
                              R"("polling_overhead_ns":7,"interrupt_cpu_ns":6,"polling_cpu_ns":5})",
                              0ms));
    ASSERT_EQ(recorder.knowledge().size(), 1u);
    EXPECT_EQ(recorder.knowledge()[0].service_ns, 9u);
}

TEST(StepRecorder, ResultsOfOtherStepsAreRefused) {
    StepRecorder recorder(steps);
    const auto other = recorder.take(bench_line(steps[1]), 0ms);
    ASSERT_FALSE(other);
    EXPECT_THAT(other.error().message(), HasSubstr("not asked for"));
}

TEST(StepRecorder, MoreResultsThanStepsAreRefused) {
    StepRecorder recorder({steps.data(), 1});
    ASSERT_TRUE(recorder.take(bench_line(steps[0]), 0ms));
    EXPECT_FALSE(recorder.take(bench_line(steps[0]), 0ms));
}

TEST(StepRecorder, AFailedLoadIsToldInTheGuestsWords) {
    StepRecorder recorder(steps);
    const auto failed = recorder.take(bench_line(steps[0], "I/O error"), 0ms);
    ASSERT_FALSE(failed);
    EXPECT_THAT(failed.error().message(), HasSubstr("interrupt: I/O error"));
}

TEST(StepRecorder, AGuestThatEndsEarlyIsToldOf) {
    StepRecorder recorder(steps);
    ASSERT_TRUE(recorder.take(bench_line(steps[0]), 0ms));
    const auto all = recorder.finish();
    ASSERT_FALSE(all);
    EXPECT_THAT(all.error().message(), HasSubstr("after 1 of 3 loads"));
}

}  // namespace
}  // namespace exo::vmm::tune
