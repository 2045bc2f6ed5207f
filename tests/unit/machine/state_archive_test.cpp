#include "vmm/base/state_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

namespace exo::vmm {
namespace {

using testing::HasSubstr;

enum class Color : std::uint8_t { red, green };

struct Chip {
    std::uint32_t word = 0;
    bool flag = false;
    Color color = Color::red;
    std::deque<std::byte> queue = {};
    bool operator==(const Chip&) const = default;

    void exchange_state(StateArchive& archive) {
        archive.section("chip", [&] {
            archive(word);
            archive(flag);
            archive(color, Color::green);
            archive.sequence(queue, 3);
        });
    }
};

const Chip full{
    .word = 0x1234'5678, .flag = true, .color = Color::green, .queue = {std::byte{1}, std::byte{2}}};

std::vector<std::byte> saved(Chip chip) {
    StateArchive archive;
    chip.exchange_state(archive);
    EXPECT_TRUE(archive.finish());
    return archive.saved();
}

std::string refusal(std::span<const std::byte> bytes) {
    Chip chip;
    StateArchive archive(bytes);
    chip.exchange_state(archive);
    const auto done = archive.finish();
    return done ? "" : done.error().message();
}

TEST(StateArchive, LoadsWhatWasSaved) {
    const auto bytes = saved(full);
    StateArchive archive(bytes);
    Chip chip;
    chip.exchange_state(archive);
    EXPECT_TRUE(archive.finish());
    EXPECT_EQ(chip, full);
}

TEST(StateArchive, RefusesEveryLengthButTheRightOne) {
    auto bytes = saved(full);
    for (std::size_t length = 0; length < bytes.size(); ++length)
        EXPECT_NE(refusal(std::span(bytes).first(length)), "") << length;
    bytes.push_back(std::byte{0});
    EXPECT_THAT(refusal(bytes), HasSubstr("something follows"));
}

TEST(StateArchive, RefusesASectionThatIsLongerThanItsDevice) {
    StateArchive archive;
    std::uint64_t word = 0;
    archive.section("chip", [&] {
        for (int i = 0; i < 4; ++i) archive(word);
    });
    EXPECT_THAT(refusal(archive.saved()), HasSubstr("state of chip: it is longer"));
}

TEST(StateArchive, RefusesAnotherSection) {
    StateArchive archive;
    archive.section("chop", [] {});
    EXPECT_THAT(refusal(archive.saved()), HasSubstr("something else stands in its place"));
}

TEST(StateArchive, RefusesValuesThatThereAreNot) {
    Chip odd = full;
    odd.color = static_cast<Color>(2);
    StateArchive archive;
    archive.section("chip", [&] {
        archive(odd.word);
        archive(odd.flag);
        archive(odd.color, static_cast<Color>(9));
        archive.sequence(odd.queue, 3);
    });
    EXPECT_THAT(refusal(archive.saved()), HasSubstr("none of those that there are"));
}

TEST(StateArchive, RefusesMoreEntriesThanThereCanBeBeforeMakingRoom) {
    Chip crowded = full;
    crowded.queue.resize(4);
    StateArchive archive;
    archive.section("chip", [&] {
        archive(crowded.word);
        archive(crowded.flag);
        archive(crowded.color, Color::green);
        std::uint32_t count = 0xffff'ffff;
        archive(count);
    });
    EXPECT_THAT(refusal(archive.saved()), HasSubstr("more entries"));
}

}  // namespace
}  // namespace exo::vmm
