#include "vmm/devices/interrupt_coalescing.h"

#include <gtest/gtest.h>

namespace exo::vmm {
namespace {

using namespace std::chrono_literals;
using block::Urgency;

TEST(InterruptCoalescing, NothingHeldBackIsNeverDue) {
    InterruptCoalescing coalescing;
    EXPECT_FALSE(coalescing.deadline());
    EXPECT_FALSE(coalescing.due(1h, true));
}

TEST(InterruptCoalescing, FirstDeadlineCounts) {
    InterruptCoalescing coalescing;
    coalescing.hold(Urgency::normal, 100us);
    coalescing.hold(Urgency::normal, 120us);
    EXPECT_EQ(coalescing.deadline(), 150us);
    EXPECT_FALSE(coalescing.due(150us - 1ns, false));
    EXPECT_TRUE(coalescing.due(150us, false));
}

TEST(InterruptCoalescing, NormalOneCutsARelaxedOnesWait) {
    InterruptCoalescing coalescing;
    coalescing.hold(Urgency::relaxed, 100us);
    EXPECT_EQ(coalescing.deadline(), 600us);
    coalescing.hold(Urgency::normal, 200us);
    EXPECT_EQ(coalescing.deadline(), 250us);
    coalescing.hold(Urgency::relaxed, 210us);
    EXPECT_EQ(coalescing.deadline(), 250us);
}

TEST(InterruptCoalescing, CompleteIsDueAtOnce) {
    InterruptCoalescing coalescing;
    coalescing.hold(Urgency::relaxed, 0ns);
    EXPECT_TRUE(coalescing.due(0ns, true));
    coalescing.clear();
    EXPECT_FALSE(coalescing.due(1h, true));
}

}  // namespace
}  // namespace exo::vmm
