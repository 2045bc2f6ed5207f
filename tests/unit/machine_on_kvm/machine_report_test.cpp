#include "vmm/machine/machine_report.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace exo::vmm {
namespace {

TEST(ExitCounts, CountsByReasonAndAddsUp) {
    ExitCounts one;
    one.add(vcpu_exit::PortRead{});
    one.add(vcpu_exit::Shutdown{});
    ExitCounts other;
    other.add(vcpu_exit::PortRead{});
    one.add(other);
    EXPECT_EQ(one.by_reason[VcpuExit(vcpu_exit::PortRead{}).index()], 2u);
    EXPECT_EQ(one.by_reason[VcpuExit(vcpu_exit::Shutdown{}).index()], 1u);
}

TEST(ExitCounts, NamesFollowTheVariant) {
    const auto name = [](const VcpuExit& exit) { return std::string(ExitCounts::name(exit.index())); };
    EXPECT_EQ(name(vcpu_exit::PortRead{}), "port_read");
    EXPECT_EQ(name(vcpu_exit::PortWrite{}), "port_write");
    EXPECT_EQ(name(vcpu_exit::MmioRead{}), "mmio_read");
    EXPECT_EQ(name(vcpu_exit::MmioWrite{}), "mmio_write");
    EXPECT_EQ(name(vcpu_exit::Interrupted{}), "interrupted");
    EXPECT_EQ(name(vcpu_exit::Shutdown{}), "triple_fault");
    EXPECT_EQ(name(vcpu_exit::EntryFailure{}), "entry_failure");
    EXPECT_EQ(name(vcpu_exit::InternalError{}), "internal_error");
    EXPECT_EQ(name(vcpu_exit::Unsupported{}), "unsupported");
    EXPECT_EQ(name(vcpu_exit::RunFailure{}), "run_failure");
}

TEST(KvmStatistics, AddUpByName) {
    std::vector<KvmStatistic> sum = {{"exits", 3}};
    add_statistics(sum, {{"exits", 4}, {"halts", 1}});
    ASSERT_EQ(sum.size(), 2u);
    EXPECT_EQ(sum[0].value, 7u);
    EXPECT_EQ(sum[1].value, 1u);
}

}  // namespace
}  // namespace exo::vmm
