#include "vmm/machine/guest_ram.h"

#include <gtest/gtest.h>

namespace exo::vmm {
namespace {

TEST(GuestRam, SmallMemoryLiesAroundTheLegacyHole) {
    const auto ram = GuestRam::create(layout::split_ram(64 * layout::mib));
    ASSERT_TRUE(ram) << ram.error().message();
    ASSERT_EQ(ram->regions().size(), 2u);
    EXPECT_EQ(ram->regions()[0].start.value, 0u);
    EXPECT_EQ(ram->regions()[0].host.size(), 640 * layout::kib);
    EXPECT_EQ(ram->regions()[1].start.value, layout::mib);
    EXPECT_EQ(ram->regions()[1].host.size(), 63 * layout::mib);
    EXPECT_EQ(ram->host()[0], std::byte{0});
}

TEST(GuestRam, WhatDoesNotFitBelowTheHoleGoesAbove4GiB) {
    const auto ram = GuestRam::create(layout::split_ram(5 * layout::gib));
    ASSERT_TRUE(ram) << ram.error().message();
    ASSERT_EQ(ram->regions().size(), 3u);
    EXPECT_EQ(ram->regions()[2].start.value, 4 * layout::gib);
    EXPECT_EQ(ram->regions()[2].host.size(), 3 * layout::gib);
    EXPECT_EQ(ram->regions()[2].host.data() + 3 * layout::gib, ram->host().data() + 5 * layout::gib);
}

TEST(GuestRam, TooMuchIsAnError) {
    const auto ram = GuestRam::create(layout::split_ram(std::uint64_t{1} << 60));
    ASSERT_FALSE(ram);
    EXPECT_FALSE(ram.error().action.empty());
}

}  // namespace
}  // namespace exo::vmm
