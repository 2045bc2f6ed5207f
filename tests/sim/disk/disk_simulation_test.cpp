#include "tests/sim/disk/disk_simulation.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <string>

namespace exo::sim {
namespace {

struct Total {
    std::uint64_t requests = 0;
    std::uint64_t failed = 0;
    std::uint64_t sleeps = 0;
    std::uint64_t kill_points = 0;
};

class DiskSimulation : public testing::TestWithParam<DiskKind> {
  protected:
    /// Every run takes the guest's RAM anew; to give it back to the kernel each time costs more than the run.
    static void SetUpTestSuite() {
        ::mallopt(M_MMAP_THRESHOLD, 16 << 20);
        ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
    }
};

/// One seed alone, where the environment names it; else all of them.
TEST_P(DiskSimulation, FindsNothingWrong) {
    const char* const only = std::getenv("EXO_SIM_SEED");
    const std::uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 0) : 0;
    const std::uint64_t end = only != nullptr ? first + 1 : EXO_SIM_SEEDS;
    Total total;
    for (std::uint64_t seed = first; seed < end; ++seed) {
        const DiskRun run = simulate_disk(GetParam(), seed);
        const auto* const test = testing::UnitTest::GetInstance()->current_test_info();
        ASSERT_EQ(run.problem, "") << "replay: EXO_SIM_SEED=" << seed
                                   << " tests/sim/disk/disk_simulation_test --gtest_filter="
                                   << test->test_suite_name() << "." << test->name();
        total.requests += run.requests;
        total.failed += run.failed;
        total.sleeps += run.sleeps;
        total.kill_points += run.kill_points;
    }
    RecordProperty("requests", std::to_string(total.requests));
    RecordProperty("kill_points", std::to_string(total.kill_points));
    if (only != nullptr) return;
    EXPECT_GT(total.failed, total.requests / 100) << "faults do happen";
    EXPECT_GT(total.sleeps, total.requests / 100) << "the guest does sleep";
    EXPECT_GT(total.kill_points, 10'000u);
}

TEST_P(DiskSimulation, SameSeedIsTheSameRun) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
        const DiskRun once = simulate_disk(GetParam(), seed);
        const DiskRun again = simulate_disk(GetParam(), seed);
        EXPECT_EQ(once.end_ns, again.end_ns);
        EXPECT_EQ(once.kill_points, again.kill_points);
        EXPECT_EQ(once.sleeps, again.sleeps);
    }
}

std::string name_of(const testing::TestParamInfo<DiskKind>& kind) {
    return kind.param == DiskKind::fusion_blk ? "fusion" : "virtio";
}
INSTANTIATE_TEST_SUITE_P(Devices, DiskSimulation, testing::Values(DiskKind::fusion_blk, DiskKind::virtio_blk),
                         name_of);

struct Planted {
    const char* name;
    DiskKind kind;
    Defect defect;
    const char* problem;  ///< part of what is to be reported
};

/// Of the simulation itself: what is broken on purpose must be found, and for its own reason.
class PlantedDefect : public testing::TestWithParam<Planted> {};

TEST_P(PlantedDefect, IsFound) {
    std::string others;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        const DiskRun run = simulate_disk(GetParam().kind, seed, GetParam().defect);
        if (run.problem.find(GetParam().problem) != std::string::npos) return;
        if (!run.problem.empty()) others += run.problem + "\n";
    }
    FAIL() << "not found; instead:\n" << others;
}

constexpr Planted planted[] = {
    {"LostInterrupt", DiskKind::fusion_blk, Defect::lost_interrupt, "a wake-up was lost"},
    {"LostDoorbell", DiskKind::fusion_blk, Defect::lost_doorbell, "a wake-up was lost"},
    {"SwappedCompletions", DiskKind::fusion_blk, Defect::swapped_completions, "reads as what is not there"},
    {"EarlyFlush", DiskKind::fusion_blk, Defect::early_flush, "after a crash"},
    {"DroppedFua", DiskKind::fusion_blk, Defect::dropped_fua, "after a crash"},
    {"EarlyWrite", DiskKind::fusion_blk, Defect::early_write, "reads as what is not there"},
    {"UnguardedFlush", DiskKind::fusion_blk, Defect::unguarded_flush, "after a crash"},
    {"LostInterruptOfVirtio", DiskKind::virtio_blk, Defect::lost_interrupt, "a wake-up was lost"},
    {"LostDoorbellOfVirtio", DiskKind::virtio_blk, Defect::lost_doorbell, "a wake-up was lost"},
    {"EarlyFlushOfVirtio", DiskKind::virtio_blk, Defect::early_flush, "after a crash"},
};
INSTANTIATE_TEST_SUITE_P(All, PlantedDefect, testing::ValuesIn(planted),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace exo::sim
