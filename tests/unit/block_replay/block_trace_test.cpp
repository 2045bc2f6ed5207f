#include "tests/sim/block/block_trace.h"

#include <gtest/gtest.h>

#include <sstream>

namespace exo::sim {
namespace {

std::expected<BlockTrace, std::string> read(const std::string& text) {
    std::istringstream lines(text);
    return read_block_trace(lines);
}

TEST(BlockTrace, WrittenAndReadAgain) {
    const BlockTrace trace = {{5, 100, false}, {7, 90, true}, {1'000'000'000'000, 0, false}};
    std::stringstream text;
    write_block_trace(text, trace);
    const auto back = read_block_trace(text);
    ASSERT_TRUE(back) << back.error();
    EXPECT_EQ(*back, trace);
}

TEST(BlockTrace, OtherMembersAndEmptyLinesArePassedOver) {
    const auto trace =
        read("{\"op\":\"read\",\"service_ns\":3,\"submit_ns\":2}\n\n{\"submit_ns\":4,\"service_ns\":1}");
    ASSERT_TRUE(trace) << trace.error();
    EXPECT_EQ(*trace, (BlockTrace{{2, 3, false}, {4, 1, false}}));
}

TEST(BlockTrace, SortedBySubmission) {
    const auto trace = read("{\"submit_ns\":9,\"service_ns\":1}\n{\"submit_ns\":4,\"service_ns\":2}\n");
    ASSERT_TRUE(trace);
    EXPECT_EQ(trace->front().submit_ns, 4u);
}

TEST(BlockTrace, AnErrorNamesTheLine) {
    for (const char* bad :
         {"nonsense", "[]", "{\"submit_ns\":1}", "{\"submit_ns\":-1,\"service_ns\":1}",
          "{\"submit_ns\":1.5,\"service_ns\":1}", "{\"submit_ns\":1,\"service_ns\":1,\"urgent\":1}"}) {
        const auto trace = read(std::string("{\"submit_ns\":1,\"service_ns\":1}\n") + bad);
        ASSERT_FALSE(trace) << bad;
        EXPECT_NE(trace.error().find("line 2"), std::string::npos) << trace.error();
    }
}

TEST(BlockTrace, AnEmptyOneIsAnError) {
    EXPECT_FALSE(read(""));
    EXPECT_FALSE(read("\n\n"));
}

}  // namespace
}  // namespace exo::sim
