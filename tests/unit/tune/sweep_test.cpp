#include "vmm/tune/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace exo::vmm::tune {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

TEST(Sweep, EveryWayIsMeasuredOnEveryLoadAfterAWarmUp) {
    const std::vector<Load> loads = sweep_loads(false);
    const std::vector<Step> steps = steps_for(adaptive_ways, loads, 1);
    EXPECT_EQ(steps[1].kind, Step::Kind::baseline);
    for (const Load& load : loads)
        for (const Way& way : adaptive_ways) {
            const auto at = std::ranges::find(steps, Step{way, load, Step::Kind::measured});
            ASSERT_NE(at, steps.end()) << name_of(way);
            EXPECT_EQ(*(at - 1), (Step{way, load, Step::Kind::warm_up}));
        }
}

TEST(Sweep, EachRoundBeginsWithAnotherWay) {
    const Load load{.rate = 100};
    EXPECT_EQ(steps_for(fixed_ways, {&load, 1}, 0)[2].way, fixed_ways[0]);
    EXPECT_EQ(steps_for(fixed_ways, {&load, 1}, 1)[2].way, fixed_ways[1]);
    EXPECT_EQ(steps_for(fixed_ways, {&load, 1}, 5)[2].way, fixed_ways[1]);
}

TEST(Sweep, AGuestSetsTheModeOnceAndTellsWhatTheControllerKnows) {
    const Load load{.rate = 400, .depth = 2, .jobs = 3};
    const std::vector<Step> steps = {{adaptive_ways[0], load, Step::Kind::warm_up},
                                     {adaptive_ways[0], load, Step::Kind::measured}};
    EXPECT_THAT(guest_command(steps, {.pattern = "read", .block = 512}),
                ElementsAre("blk", "mode", "disk0", "adaptive", "--price", "100", ";",  //
                            "blk", "bench", "disk0", "--json", "--rw", "read", "--bs", "512", "--depth", "2",
                            "--jobs", "3", "--rate", "400", "--count", "100", "--time", "1", ";",  //
                            "blk", "bench", "disk0", "--json", "--rw", "read", "--bs", "512", "--depth", "2",
                            "--jobs", "3", "--rate", "400", "--time", "1", ";",  //
                            "blk", "stats", "disk0", "--json"));
}

TEST(Sweep, OnlyAPatternThatWritesMayDestroyData) {
    const std::vector<Step> steps = {{fixed_ways[0], {}, Step::Kind::measured}};
    EXPECT_THAT(guest_command(steps, {.pattern = "read"}), Not(Contains("--destroy-data")));
    for (const char* pattern : {"write", "randwrite", "mixed"})
        EXPECT_THAT(guest_command(steps, {.pattern = pattern}), Contains("--destroy-data")) << pattern;
}

}  // namespace
}  // namespace exo::vmm::tune
