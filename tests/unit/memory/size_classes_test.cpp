#include "guest/memory/size_classes.h"

#include <gtest/gtest.h>

namespace exo::guest {
namespace {

TEST(SizeClasses, AreTheSixteenOfTheDesign) {
    const std::array<std::uint16_t, 16> expected = {8,   16,  24,  32,  48,  64,   96,   128,
                                                    192, 256, 384, 512, 768, 1024, 1536, 2048};
    EXPECT_EQ(size_class_bytes, expected);
}

TEST(SizeClasses, EverySizeGetsTheSmallestThatHoldsIt) {
    EXPECT_EQ(size_class_of(0), 0);
    for (std::size_t size = 1; size <= largest_small_size; ++size) {
        const SizeClass size_class = size_class_of(size);
        EXPECT_GE(size_class_bytes[size_class], size);
        if (size_class > 0) {
            EXPECT_LT(size_class_bytes[size_class - 1], size);
        }
    }
}

TEST(SizeClasses, AlignedSizesGetTheSmallestAlignedClass) {
    for (std::size_t alignment = 1; alignment <= largest_small_size; alignment *= 2) {
        for (std::size_t size = 0; size <= largest_small_size; ++size) {
            const SizeClass size_class = aligned_size_class_of(size, alignment);
            ASSERT_LT(size_class, size_class_count);
            EXPECT_GE(size_class_bytes[size_class], size);
            EXPECT_EQ(size_class_bytes[size_class] % alignment, 0);
            for (SizeClass smaller = size_class_of(size); smaller < size_class; ++smaller) {
                EXPECT_NE(size_class_bytes[smaller] % alignment, 0);
            }
        }
    }
    EXPECT_EQ(aligned_size_class_of(24, 8), size_class_of(24));
    EXPECT_EQ(aligned_size_class_of(24, 16), size_class_of(32));
}

TEST(SizeClasses, WhatIsLargerTakesPages) {
    EXPECT_EQ(aligned_size_class_of(largest_small_size + 1, 8), no_size_class);
    EXPECT_EQ(aligned_size_class_of(8, 4096), no_size_class);
}

}  // namespace
}  // namespace exo::guest
