#include "vmm/kvm/msi_routes.h"

#include <gtest/gtest.h>

namespace exo::vmm {
namespace {

struct Recorder {
    std::vector<std::vector<MsiRoute>> commits;
    MsiRoutes routes{[this](std::span<const MsiRoute> all) -> Result<void> {
        commits.emplace_back(all.begin(), all.end());
        return {};
    }};
};

TEST(MsiRoutes, NumbersLieAboveThePinsAndDiffer) {
    Recorder recorder;
    EXPECT_EQ(recorder.routes.allocate(), first_msi_gsi);
    EXPECT_EQ(recorder.routes.allocate(), first_msi_gsi + 1);
    EXPECT_TRUE(recorder.commits.empty()) << "a number without a message has no route";
}

TEST(MsiRoutes, EveryChangeCommitsTheWholeTable) {
    Recorder recorder;
    const auto a = recorder.routes.allocate();
    const auto b = recorder.routes.allocate();
    ASSERT_TRUE(recorder.routes.set(a, {0xfee0'0000, 0x41}));
    ASSERT_TRUE(recorder.routes.set(b, {0xfee0'1000, 0x42}));
    ASSERT_TRUE(recorder.routes.set(a, {0xfee0'2000, 0x43}));
    ASSERT_EQ(recorder.commits.size(), 3u);
    ASSERT_EQ(recorder.commits[2].size(), 2u);
    EXPECT_EQ(recorder.commits[2][0].message, (Msi{0xfee0'2000, 0x43}));
    EXPECT_EQ(recorder.commits[2][1].message, (Msi{0xfee0'1000, 0x42}));
}

TEST(MsiRoutes, TheSameMessageAgainCostsNothing) {
    Recorder recorder;
    const auto gsi = recorder.routes.allocate();
    ASSERT_TRUE(recorder.routes.set(gsi, {0xfee0'0000, 0x41}));
    ASSERT_TRUE(recorder.routes.set(gsi, {0xfee0'0000, 0x41}));
    EXPECT_EQ(recorder.commits.size(), 1u);
}

TEST(MsiRoutes, ARefusalIsHandedOn) {
    MsiRoutes routes([](std::span<const MsiRoute>) -> Result<void> { return fail("routes", "refused"); });
    EXPECT_FALSE(routes.set(routes.allocate(), {}));
}

}  // namespace
}  // namespace exo::vmm
