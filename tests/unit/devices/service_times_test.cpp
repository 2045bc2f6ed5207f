#include "vmm/devices/service_times.h"

#include <gtest/gtest.h>

#include <limits>

namespace exo::vmm {
namespace {

using std::chrono::nanoseconds;

TEST(MovingDuration, StartsAtTheFirstSampleAndFollows) {
    MovingDuration mean;
    EXPECT_EQ(mean.ns(), 0u);
    mean.add(nanoseconds(8000));
    EXPECT_EQ(mean.ns(), 8000u);
    mean.add(nanoseconds(16000));
    EXPECT_EQ(mean.ns(), 9000u);
    for (int i = 0; i < 100; ++i) mean.add(nanoseconds(16000));
    EXPECT_NEAR(mean.ns(), 16000, 10);
}

TEST(MovingDuration, ReachesSmallTargets) {
    MovingDuration mean;
    mean.add(nanoseconds(100));
    for (int i = 0; i < 200; ++i) mean.add(nanoseconds(107));
    EXPECT_GE(mean.ns(), 106u);
    EXPECT_LE(mean.ns(), 107u);
}

TEST(MovingDuration, SurvivesAbsurdSamples) {
    MovingDuration mean;
    mean.add(nanoseconds::max());
    EXPECT_EQ(mean.ns(), std::numeric_limits<std::uint32_t>::max());
    mean.add(nanoseconds::min());
    EXPECT_LT(mean.ns(), std::numeric_limits<std::uint32_t>::max());
    MovingDuration zero;
    zero.add(nanoseconds(0));
    EXPECT_EQ(zero.ns(), 1u) << "0 would mean unknown";
}

TEST(ServiceTimes, KeepsOperationsAndSizesApart) {
    ServiceTimes times;
    times.add(DiskOperation::read, 4096, nanoseconds(1));
    times.add(DiskOperation::read, 4608, nanoseconds(2));
    times.add(DiskOperation::read, 65536 + 512, nanoseconds(3));
    times.add(DiskOperation::write, 512, nanoseconds(4));
    times.add(DiskOperation::write, 65536, nanoseconds(5));
    times.add(DiskOperation::flush, 0, nanoseconds(6));
    block::DeviceControl control{};
    times.write_to(control);
    EXPECT_EQ(control.read_ns[0], 1u);
    EXPECT_EQ(control.read_ns[1], 2u);
    EXPECT_EQ(control.read_ns[2], 3u);
    EXPECT_EQ(control.write_ns[0], 4u);
    EXPECT_EQ(control.write_ns[1], 5u);
    EXPECT_EQ(control.write_ns[2], 0u);
    EXPECT_EQ(control.flush_ns, 6u);
}

}  // namespace
}  // namespace exo::vmm
