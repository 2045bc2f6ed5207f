#include "vmm/cli/size.h"

#include <gtest/gtest.h>

namespace exo::vmm {
namespace {

TEST(Size, UnitsArePowersOf1024AndABareNumberIsMib) {
    EXPECT_EQ(*parse_size("64"), 64ull << 20);
    EXPECT_EQ(*parse_size("512M"), 512ull << 20);
    EXPECT_EQ(*parse_size("512m"), 512ull << 20);
    EXPECT_EQ(*parse_size("2G"), 2ull << 30);
    EXPECT_EQ(*parse_size("2GiB"), 2ull << 30);
    EXPECT_EQ(*parse_size("65536KB"), 64ull << 20);
    EXPECT_EQ(*parse_size("1T"), 1ull << 40);
    EXPECT_EQ(*parse_size("0"), 0u);
}

TEST(Size, NonsenseIsRefused) {
    for (const char* text : {"", "M", "-1", "1.5G", "12Q", "12MM", "0x10", " 64", "64 M", "64Mi"})
        EXPECT_FALSE(parse_size(text)) << text;
}

TEST(Size, WhatDoesNotFitIsRefused) {
    EXPECT_FALSE(parse_size("99999999999999999999"));
    EXPECT_FALSE(parse_size("17592186044416M"));
    EXPECT_TRUE(parse_size("17592186044415M"));
}

TEST(Size, IsWrittenInTheLargestExactUnit) {
    EXPECT_EQ(format_size(256ull << 20), "256 MiB");
    EXPECT_EQ(format_size(2ull << 30), "2 GiB");
    EXPECT_EQ(format_size(1536), "1536 bytes");
    EXPECT_EQ(format_size(0), "0 bytes");
}

}  // namespace
}  // namespace exo::vmm
