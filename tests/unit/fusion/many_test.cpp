// Several producers or consumers on a ring, step by step in one thread.
#include <gtest/gtest.h>

#include "ring_memory.h"

namespace exo::fusion::test {
namespace {

TEST(Many, ProducersShareTheSlots) {
    Channel<ManyProducerRing> channel(4);
    ManyProducerRing::Producer second(channel.ring);
    ASSERT_TRUE(channel.producer.send(1U));
    ASSERT_TRUE(second.send(2U));
    ASSERT_TRUE(channel.producer.send(3U));
    ASSERT_TRUE(second.send(4U));
    EXPECT_EQ(channel.producer.send(5U).error(), SendError::full);
    EXPECT_EQ(second.send(5U).error(), SendError::full);
    for (std::uint32_t expected = 1; expected <= 4; ++expected) {
        std::uint32_t value = 0;
        ASSERT_TRUE(channel.consumer.recv(value));
        EXPECT_EQ(value, expected);
    }
}

TEST(Many, ConsumersShareTheMessages) {
    Channel<ManyConsumerRing> channel(4);
    ManyConsumerRing::Consumer second(channel.ring);
    for (std::uint32_t i = 0; i < 4; ++i) ASSERT_TRUE(channel.producer.send(i));
    std::uint32_t value = ~0U;
    ASSERT_TRUE(second.recv(value));
    EXPECT_EQ(value, 0u);
    ASSERT_TRUE(channel.consumer.recv(value));
    EXPECT_EQ(value, 1u);
    const auto message = second.recv();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->as<std::uint32_t>(), 2u);
    ASSERT_TRUE(channel.consumer.recv(value));
    EXPECT_EQ(second.recv().error(), ReceiveError::empty);
    EXPECT_EQ(channel.consumer.recv(value).error(), ReceiveError::empty);
}

TEST(Many, AConsumerInMidReceiveHoldsBackOnlyItsOwnSlot) {
    // One consumer has claimed position 0 and not released it; the others go on with the rest of the lap.
    Channel<ManyToManyRing> channel(4);
    for (std::uint32_t i = 0; i < 4; ++i) ASSERT_TRUE(channel.producer.send(i));
    ++channel.ring.header().consumer.claimed;
    std::uint32_t value = ~0U;
    for (std::uint32_t i = 1; i < 4; ++i) {
        ASSERT_TRUE(channel.consumer.recv(value));
        EXPECT_EQ(value, i);
    }
    EXPECT_EQ(channel.producer.send(4U).error(), SendError::full);
}

TEST(Many, AProducerThatDiedAfterItsClaimIsNeverRead) {
    Channel<ManyProducerRing> channel(4);
    ++channel.ring.header().producer.claimed;
    ASSERT_TRUE(channel.producer.send(1U));
    std::uint32_t value = ~0U;
    EXPECT_EQ(channel.consumer.recv(value).error(), ReceiveError::empty);
}

TEST(Many, ClaimsKeepCountingBeyond32Bits) {
    Channel<ManyToManyRing> channel(4, 0U - 3);
    for (std::uint32_t i = 0; i < 10; ++i) {
        ASSERT_TRUE(channel.producer.send(i));
        std::uint32_t value = ~0U;
        ASSERT_TRUE(channel.consumer.recv(value));
        EXPECT_EQ(value, i);
    }
    EXPECT_EQ(channel.ring.header().producer.claimed, std::uint64_t{0xffff'fffd} + 10);
    EXPECT_EQ(channel.ring.header().consumer.claimed, std::uint64_t{0xffff'fffd} + 10);
}

TEST(Many, AMalformedMessageIsDropped) {
    Channel<ManyToManyRing> channel(4);
    ASSERT_TRUE(channel.producer.send(std::uint64_t{1}));
    ASSERT_TRUE(channel.producer.send(std::uint64_t{2}));
    ASSERT_TRUE(channel.producer.send(std::uint64_t{3}));
    channel.ring.slot(0).header = SlotHeader{1, Kind::inline_data, 0, 100}.to_word();
    EXPECT_EQ(channel.consumer.recv().error(), ReceiveError::malformed);
    std::uint32_t narrow = 0;
    EXPECT_EQ(channel.consumer.recv(narrow).error(), ReceiveError::malformed);
    EXPECT_EQ(channel.consumer.recv()->as<std::uint64_t>(), 3u);
    const std::uint64_t values[4] = {};
    EXPECT_EQ(channel.producer.send_batch(std::span(values)), 4u);  // every slot came back
}

}  // namespace
}  // namespace exo::fusion::test
