#include "vmm/tune/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/tune/measured_steps.h"

namespace exo::vmm::tune {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char label[] = "[not of this hardware]";

Circumstances circumstances(std::string not_this_hardware = "") {
    return {.version = "0.1.0",
            .processor = "a processor",
            .host_cpus = 2,
            .disk = "a disk in memory",
            .operations = {},
            .rounds = 1,
            .not_this_hardware = std::move(not_this_hardware)};
}

Sweep small_sweep() {
    Sweep sweep{.modes = Series({}),
                .poll_limits = {},
                .queues = {},
                .knowledge = {.service_ns = 12'000, .interrupt_overhead_ns = 7'000}};
    const auto add = [&](const Way& way) {
        const MeasuredStep step =
            measured(way, {.rate = 1'000}, way.mode == "polling" ? 11'000 : 22'000, 3'000);
        sweep.modes.add({&step, 1});
    };
    for (const Way& way : fixed_ways) add(way);
    for (const Way& way : adaptive_ways) add(way);
    return sweep;
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

TEST(TuneReport, TellsFiguresWinnersWhatWasLearnedAndWhatToDo) {
    const std::string text = report_text(circumstances(), small_sweep());
    EXPECT_THAT(text, HasSubstr("11.0 / 3.0"));
    EXPECT_THAT(text, HasSubstr("polling  1.79"));  // (22 + 3) / (11 + 3)
    EXPECT_THAT(text, HasSubstr("service time of the disk: 12.0 µs"));
    EXPECT_THAT(text, HasSubstr("unknown when it polls"));
    EXPECT_THAT(text, HasSubstr("price 1     blk mode disk0 polling: costs least on the whole"));
    EXPECT_THAT(text, Not(HasSubstr("of this hardware")));
}

TEST(TuneReport, EveryTableSaysWhereTimeMeansNothing) {
    const std::string text = report_text(circumstances("it is emulated"), small_sweep());
    EXPECT_THAT(text, HasSubstr("No figure below is of this hardware: it is emulated."));
    EXPECT_EQ(count(text, label), 3u);
    EXPECT_EQ(count(text, "(not of this hardware)"), prices.size());
}

TEST(TuneReport, TheDocumentHasEveryRoundAndSaysWhereItIsOf) {
    const auto json = nlohmann::json::parse(report_json(circumstances("it is emulated"), small_sweep()));
    EXPECT_EQ(json["of_this_hardware"], false);
    EXPECT_EQ(json["why_not"], "it is emulated");
    EXPECT_EQ(json["learned"]["service_ns"], 12'000);
    ASSERT_EQ(json["cells"].size(), fixed_ways.size() + adaptive_ways.size());
    EXPECT_EQ(json["cells"][1]["mode"], "polling");
    EXPECT_EQ(json["cells"][1]["price"], nullptr);
    EXPECT_EQ(json["cells"][1]["rounds"][0]["p50_ns"], 11'000);
    EXPECT_EQ(json["cells"].back()["price"], 10);
    EXPECT_EQ(json["recommended"][1]["mode"], "polling");
    EXPECT_EQ(nlohmann::json::parse(report_json(circumstances(), small_sweep()))["of_this_hardware"], true);
}

}  // namespace
}  // namespace exo::vmm::tune
