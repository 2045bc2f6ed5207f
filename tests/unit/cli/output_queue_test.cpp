#include "vmm/cli/output_queue.h"

#include <gtest/gtest.h>

#include <string>

namespace exo::vmm {
namespace {

struct OutputQueueTest : testing::Test {
    EventFd wake = *EventFd::create();
    OutputQueue queue{wake};

    std::size_t put(const std::string& text) { return queue.put(std::as_bytes(std::span(text))); }
    std::string take(std::size_t most) {
        std::string text;
        for (const std::byte byte : queue.take(most)) text += static_cast<char>(byte);
        return text;
    }
};

TEST_F(OutputQueueTest, FirstInFirstOut) {
    EXPECT_EQ(put("hello "), 6u);
    EXPECT_EQ(put("world"), 5u);
    EXPECT_EQ(take(4), "hell");
    EXPECT_EQ(put("!"), 1u);
    EXPECT_EQ(take(100), "o world!");
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(take(1), "");
}

TEST_F(OutputQueueTest, WakesOnlyWhenItWasEmpty) {
    put("a");
    EXPECT_EQ(wake.drain(), 1u);
    put("b");
    EXPECT_EQ(wake.drain(), 0u);
    take(2);
    put("c");
    EXPECT_EQ(wake.drain(), 1u);
}

TEST_F(OutputQueueTest, AFullQueueRefusesAndTellsWhenThereIsRoom) {
    const std::string most(OutputQueue::limit, 'x');
    EXPECT_EQ(put(most + "y"), OutputQueue::limit);
    EXPECT_EQ(put("z"), 0u);
    EXPECT_FALSE(queue.take_room_made());
    take(1);
    EXPECT_TRUE(queue.take_room_made());
    EXPECT_FALSE(queue.take_room_made()) << "told once";
    EXPECT_EQ(put("zz"), 1u);
}

}  // namespace
}  // namespace exo::vmm
