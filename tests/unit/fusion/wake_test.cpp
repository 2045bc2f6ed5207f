// The wake-up contract, step by step in one thread; tests/model goes through all interleavings of it.
#include <gtest/gtest.h>

#include "ring_memory.h"

namespace exo::fusion::test {
namespace {

constexpr WakeWord sleeping_at(std::uint32_t position) {
    return {position, WaitState::sleeping};
}

TEST(WakePasses, ExactlyWhenTheAskedPositionIsGoneBy) {
    EXPECT_FALSE(passes(sleeping_at(10), 5, 10));  // position 10 is not published yet
    EXPECT_TRUE(passes(sleeping_at(10), 5, 11));
    EXPECT_TRUE(passes(sleeping_at(10), 10, 11));
    EXPECT_FALSE(passes(sleeping_at(10), 11, 12));  // was passed before, and told
    EXPECT_FALSE(passes(sleeping_at(10), 7, 7));
}

TEST(WakePasses, AcrossTheWrapAround) {
    EXPECT_TRUE(passes(sleeping_at(0xffff'ffff), 0xffff'fff0, 0));
    EXPECT_FALSE(passes(sleeping_at(0xffff'ffff), 0xffff'fff0, 0xffff'ffff));
    EXPECT_TRUE(passes(sleeping_at(3), 0xffff'fff0, 4));
    EXPECT_FALSE(passes(sleeping_at(3), 0xffff'fff0, 3));
}

TEST(WakePasses, NeverWhilePolling) {
    EXPECT_FALSE(passes({10, WaitState::polling}, 0, 100));
}

TEST(WakePasses, ForAGroupWithEveryStep) {
    constexpr WakeWord group{0, WaitState::group};
    EXPECT_TRUE(passes(group, 10, 11));
    EXPECT_TRUE(passes(group, 0xffff'ffff, 0));
}

TEST(WakePasses, AnUnknownStateIsNotifiedToBeSafe) {
    EXPECT_TRUE(passes({10, static_cast<WaitState>(99)}, 0, 100));
}

TEST(Wake, APollingConsumerIsNeverNotified) {
    Channel<Ring> channel(8);
    for (std::uint32_t i = 0; i < 8; ++i) {
        ASSERT_TRUE(channel.producer.send(i));
        EXPECT_FALSE(channel.producer.must_notify());
    }
}

TEST(Wake, ASleepingConsumerIsNotifiedOnce) {
    Channel<Ring> channel(8);
    ASSERT_TRUE(channel.consumer.prepare_sleep());
    ASSERT_TRUE(channel.producer.send(1U));
    EXPECT_TRUE(channel.producer.must_notify());
    ASSERT_TRUE(channel.producer.send(2U));
    EXPECT_FALSE(channel.producer.must_notify());
    channel.consumer.finish_sleep();
    EXPECT_TRUE(channel.consumer.has_messages(2));
}

TEST(Wake, AMessageThatIsThereKeepsTheConsumerAwake) {
    Channel<Ring> channel(8);
    ASSERT_TRUE(channel.producer.send(1U));
    EXPECT_FALSE(channel.consumer.prepare_sleep());
    EXPECT_FALSE(channel.producer.must_notify());  // it went back to polling by itself
}

TEST(Wake, TheConsumerMayAskForSeveralMessages) {
    Channel<Ring> channel(8);
    ASSERT_TRUE(channel.consumer.prepare_sleep(3));
    for (std::uint32_t i = 0; i < 2; ++i) {
        ASSERT_TRUE(channel.producer.send(i));
        EXPECT_FALSE(channel.producer.must_notify());
    }
    EXPECT_TRUE(channel.consumer.prepare_sleep(3));
    ASSERT_TRUE(channel.producer.send(2U));
    EXPECT_TRUE(channel.producer.must_notify());
    EXPECT_FALSE(channel.consumer.prepare_sleep(3));
}

TEST(Wake, OneCheckCoversSeveralSends) {
    Channel<Ring> channel(8, 0U - 2);
    ASSERT_TRUE(channel.consumer.prepare_sleep());
    const std::uint64_t values[5] = {};
    ASSERT_EQ(channel.producer.send_batch(std::span(values)), 5u);
    EXPECT_TRUE(channel.producer.must_notify());
    EXPECT_FALSE(channel.producer.must_notify());
}

TEST(Wake, AProducerMaySleepUntilThereIsRoom) {
    Channel<Ring> channel(4);
    const std::uint64_t values[4] = {};
    ASSERT_EQ(channel.producer.send_batch(std::span(values)), 4u);
    ASSERT_TRUE(channel.producer.prepare_sleep(2));
    std::uint64_t value;
    ASSERT_TRUE(channel.consumer.recv(value));
    EXPECT_FALSE(channel.consumer.must_notify());
    ASSERT_TRUE(channel.consumer.recv(value));
    EXPECT_TRUE(channel.consumer.must_notify());
    EXPECT_FALSE(channel.producer.prepare_sleep(2));
    channel.producer.finish_sleep();
    EXPECT_EQ(channel.producer.send_batch(std::span(values)), 2u);
}

TEST(Wake, OfManyProducersEachOneNotifiesASleeper) {
    Channel<ManyProducerRing> channel(8);
    ManyProducerRing::Producer second(channel.ring);
    ASSERT_TRUE(channel.producer.send(1U));
    EXPECT_FALSE(channel.producer.must_notify());
    std::uint32_t value;
    ASSERT_TRUE(channel.consumer.recv(value));
    ASSERT_TRUE(channel.consumer.prepare_sleep());
    ASSERT_TRUE(channel.producer.send(2U));
    ASSERT_TRUE(second.send(3U));
    EXPECT_TRUE(second.must_notify());
    EXPECT_TRUE(channel.producer.must_notify());
}

TEST(Wake, AGroupIsNotifiedOfEachStepUntilItWakes) {
    Channel<ManyToManyRing> channel(4);
    RingHeader& header = channel.ring.header();
    Waiter<> group(header.consumer_wake, header.producer.published);
    const auto look = [&] { return channel.consumer.has_messages(); };
    EXPECT_FALSE(group.is_group());
    ASSERT_TRUE(group.prepare_group(true, look));
    EXPECT_TRUE(group.is_group());
    for (std::uint32_t i = 0; i < 3; ++i) {
        ASSERT_TRUE(channel.producer.send(i));
        EXPECT_TRUE(channel.producer.must_notify());
    }
    EXPECT_FALSE(group.prepare_group(false, look));
    EXPECT_TRUE(group.is_group());  // the others still sleep
    group.wake();
    ASSERT_TRUE(channel.producer.send(3U));
    EXPECT_FALSE(channel.producer.must_notify());
    EXPECT_FALSE(channel.producer.has_room());
    EXPECT_FALSE(group.prepare_group(true, look));
    EXPECT_FALSE(group.is_group());
}

TEST(Wake, ALieAboutProgressDoesNotKeepTheConsumerAwake) {
    Channel<Ring> channel(8);
    channel.ring.header().producer.published = 5;  // nothing is in the slots
    EXPECT_TRUE(channel.consumer.prepare_sleep());
}

}  // namespace
}  // namespace exo::fusion::test
