#include "vmm/tune/bench_output.h"

#include <gtest/gtest.h>

#include "tests/unit/tune/measured_steps.h"

namespace exo::vmm::tune {
namespace {

TEST(BenchOutput, AResultIsRead) {
    const auto output =
        parse_bench_output(bench_line({{"hybrid"}, {.rate = 100, .depth = 2, .jobs = 3}}) + "\r");
    const auto* const result = std::get_if<BenchResult>(&output);
    ASSERT_NE(result, nullptr);
    EXPECT_EQ(result->mode, "hybrid");
    EXPECT_EQ(result->rate, 100u);
    EXPECT_EQ(result->depth, 2u);
    EXPECT_EQ(result->jobs, 3u);
    EXPECT_EQ(result->operations, 1'000u);
    EXPECT_EQ(result->elapsed_ns, 1'000'000'000u);
    EXPECT_EQ(result->cpu_ns, 3'000'000u);
    EXPECT_EQ(result->p50_ns, 8'000u);
    EXPECT_EQ(result->p99_ns, 20'000u);
    EXPECT_EQ(result->error, "");
}

TEST(BenchOutput, WhatAQueueKnowsIsRead) {
    const auto output = parse_bench_output(
        R"({"disk":"disk0","queue":0,"plan":"polling","service_ns":9,"interrupt_overhead_ns":8,)"
        R"("polling_overhead_ns":7,"interrupt_cpu_ns":6,"polling_cpu_ns":5})");
    const auto* const knowledge = std::get_if<Knowledge>(&output);
    ASSERT_NE(knowledge, nullptr);
    EXPECT_EQ(knowledge->service_ns, 9u);
    EXPECT_EQ(knowledge->interrupt_overhead_ns, 8u);
    EXPECT_EQ(knowledge->polling_overhead_ns, 7u);
    EXPECT_EQ(knowledge->interrupt_cpu_ns, 6u);
    EXPECT_EQ(knowledge->polling_cpu_ns, 5u);
}

TEST(BenchOutput, AnythingElseIsNothing) {
    const std::string whole = bench_line({{"polling"}, {}});
    for (const std::string& line :
         {std::string(), std::string("Exo-OS 0.1.0"), std::string("{"), std::string("[1]"), std::string("{}"),
          std::string("{\xff}"), whole.substr(0, whole.size() / 2), std::string(R"({"plan":"polling"})"),
          std::string(R"({"mode":7,"error":""})"), std::string(10'000, '[')}) {
        EXPECT_TRUE(std::holds_alternative<std::monostate>(parse_bench_output(line))) << line;
    }
    std::string negative = whole;
    negative.replace(negative.find(":1000"), 5, ":-100");
    EXPECT_TRUE(std::holds_alternative<std::monostate>(parse_bench_output(negative)));
}

}  // namespace
}  // namespace exo::vmm::tune
