#include "guest/arch/x86_64/stack_places.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <set>

namespace exo::guest::arch {
namespace {

constexpr std::uint64_t start = 0xffff'd000'0000'0000;
constexpr std::uint64_t guard = 64 << 10;
constexpr std::uint64_t size = 16 << 10;

struct Pages {
    std::deque<std::array<std::uint64_t, 512>> pages;
    std::size_t limit = 10;

    std::uint64_t allocate_table() {
        if (pages.size() >= limit) return 0;
        pages.emplace_back();
        return pages.size() * page_size;
    }
    std::uint64_t* table(std::uint64_t physical) { return pages[physical / page_size - 1].data(); }
};

class StackPlacesTest : public ::testing::Test {
  protected:
    static constexpr unsigned most = 1000;

    Pages memory;
    StackPlaces<Pages> places{memory, start, start + most*(size + guard), guard};

    std::uint64_t take(std::uint64_t bytes = size) { return places.take(bytes).value_or(0); }
};

TEST_F(StackPlacesTest, EachHasAGuardBelowIt) {
    EXPECT_EQ(take(), start + guard);
    EXPECT_EQ(take(), start + guard + size + guard);
    EXPECT_TRUE(places.contains(start));
    EXPECT_TRUE(places.contains(start + 2 * (guard + size) - 1));
    EXPECT_FALSE(places.contains(start + 2 * (guard + size)));
}

TEST_F(StackPlacesTest, AreAllHandedOutAndThenRefused) {
    std::set<std::uint64_t> taken;
    for (unsigned i = 0; i < most; ++i) taken.insert(take());
    EXPECT_EQ(taken.size(), most);
    EXPECT_FALSE(taken.contains(0));
    EXPECT_FALSE(places.take(size));
    EXPECT_FALSE(places.take(0));
}

TEST_F(StackPlacesTest, ComeBackForStacksOfTheSameSize) {
    const std::uint64_t small = take();
    const std::uint64_t large = take(2 * size);
    places.give_back(small, size);
    places.give_back(large, 2 * size);
    EXPECT_EQ(take(), small);
    EXPECT_EQ(take(2 * size), large);
    EXPECT_GT(take(), large);
}

TEST_F(StackPlacesTest, TheNotesAreUsedAgainAndLieInPages) {
    std::array<std::uint64_t, most> taken{};
    for (unsigned round = 0; round < 5; ++round) {
        for (std::uint64_t& bottom : taken) bottom = take();
        EXPECT_EQ(std::set(taken.begin(), taken.end()).size(), most);
        for (const std::uint64_t bottom : taken) places.give_back(bottom, size);
    }
    EXPECT_EQ(memory.pages.size(), (most + 169) / 170);
}

TEST_F(StackPlacesTest, WithoutMemoryForANoteAPlaceIsLost) {
    memory.limit = 0;
    const std::uint64_t first = take();
    places.give_back(first, size);
    EXPECT_GT(take(), first);
}

}  // namespace
}  // namespace exo::guest::arch
