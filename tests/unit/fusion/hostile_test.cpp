// A producer that died, and one that lies: the consumer stays correct and in bounds.
#include <gtest/gtest.h>

#include <cstring>

#include "ring_memory.h"

namespace exo::fusion::test {
namespace {

void set_header(const Ring& ring, std::uint32_t position, SlotHeader header) {
    ring.slot(position).header = header.to_word();
}

TEST(CrashedProducer, HalfWrittenMessageIsNeverSeen) {
    Channel<Ring> channel(4);
    ASSERT_TRUE(channel.producer.send(Full::of(0)));
    std::memset(channel.ring.slot(1).payload, 0x77, 30);  // died while copying
    Full full;
    ASSERT_TRUE(channel.consumer.recv(full));
    EXPECT_EQ(channel.consumer.recv(full).error(), ReceiveError::empty);
    EXPECT_EQ(channel.consumer.recv(full).error(), ReceiveError::empty);
}

TEST(CrashedProducer, SuccessorGoesOnWhereItDied) {
    Channel<Ring> channel(4);
    for (std::uint64_t i = 0; i < 3; ++i) ASSERT_TRUE(channel.producer.send(Full::of(i)));
    Full full;
    ASSERT_TRUE(channel.consumer.recv(full));
    std::memset(channel.ring.slot(3).payload, 0x77, 30);

    Ring::Producer successor = Ring::Producer::take_over(channel.ring);
    EXPECT_EQ(successor.position(), 3u);
    ASSERT_TRUE(successor.send(Full::of(3)));
    ASSERT_TRUE(successor.send(Full::of(4)));
    EXPECT_EQ(successor.send(Full::of(5)).error(), SendError::full);
    for (std::uint64_t i = 1; i < 5; ++i) {
        ASSERT_TRUE(channel.consumer.recv(full));
        EXPECT_EQ(full, Full::of(i));
    }
    EXPECT_EQ(channel.consumer.recv(full).error(), ReceiveError::empty);
}

TEST(CrashedProducer, UnpublishedBatchIsTakenBack) {
    // Dead after all but the last store of a batch: slots 1 and 2 say published, slot 0 does not.
    for (const std::uint32_t first : {0U, 5U, 0U - 1, 0U - 3}) {
        Channel<Ring> channel(4, first);
        for (std::uint64_t i = 0; i < 3; ++i) ASSERT_TRUE(channel.producer.send(Full::of(i)));
        set_header(channel.ring, first, {first, Kind::none, 0, 0});

        Ring::Producer successor = Ring::Producer::take_over(channel.ring);
        EXPECT_EQ(successor.position(), first);
        for (std::uint64_t i = 10; i < 14; ++i) ASSERT_TRUE(successor.send(Full::of(i))) << first;
        for (std::uint64_t i = 10; i < 14; ++i) {
            Full full;
            ASSERT_TRUE(channel.consumer.recv(full));
            EXPECT_EQ(full, Full::of(i));
        }
    }
}

TEST(CrashedProducer, TakingOverAFullRingFindsItFull) {
    Channel<Ring> channel(4, 0U - 2);
    for (std::uint64_t i = 0; i < 4; ++i) ASSERT_TRUE(channel.producer.send(Full::of(i)));
    Ring::Producer successor = Ring::Producer::take_over(channel.ring);
    EXPECT_EQ(successor.position(), 2u);
    EXPECT_EQ(successor.send(Full::of(9)).error(), SendError::full);
}

struct HostileHeader {
    const char* name;
    SlotHeader header;
    ReceiveError expected;
};
class HostileSlot : public testing::TestWithParam<HostileHeader> {};

TEST_P(HostileSlot, IsRefusedAndNothingIsReadFromIt) {
    Channel<Ring> channel(4);
    set_header(channel.ring, 0, GetParam().header);
    EXPECT_EQ(channel.consumer.recv().error(), GetParam().expected);
}

TEST_P(HostileSlot, IsRefusedByTypedAndBatchReceivesAlike) {
    for (int variant = 0; variant < 3; ++variant) {
        Channel<Ring> channel(4);
        set_header(channel.ring, 0, GetParam().header);
        std::uint64_t values[8];
        const ReceiveError error = variant == 0   ? channel.consumer.recv(values[0]).error()
                                   : variant == 1 ? channel.consumer.recv_batch(std::span(values)).error()
                                                  : channel.consumer.recv_packed(std::span(values)).error();
        EXPECT_EQ(error, GetParam().expected) << variant;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Consumer, HostileSlot,
    testing::Values(
        HostileHeader{
            "LengthBeyondThePayload", {1, Kind::inline_data, 0, payload_size + 1}, ReceiveError::malformed},
        HostileHeader{"LengthHuge", {1, Kind::inline_data, 0, 0xffff}, ReceiveError::malformed},
        HostileHeader{"PackedLengthHuge", {1, Kind::packed, 8, 64}, ReceiveError::malformed},
        HostileHeader{"KindNone", {1, Kind::none, 0, 8}, ReceiveError::malformed},
        HostileHeader{"KindUnknown", {1, static_cast<Kind>(5), 0, 8}, ReceiveError::malformed},
        HostileHeader{"KindWild", {1, static_cast<Kind>(0xff), 0xff, 8}, ReceiveError::malformed},
        HostileHeader{"SequenceAhead", {2, Kind::inline_data, 0, 8}, ReceiveError::corrupt},
        HostileHeader{"SequenceOfTheNextLap", {5, Kind::inline_data, 0, 8}, ReceiveError::corrupt},
        HostileHeader{"SequenceBehind", {0xffff'ffff, Kind::inline_data, 0, 8}, ReceiveError::corrupt}),
    [](const auto& test) { return test.param.name; });

TEST(HostileProducer, PackedHeadersAreCheckedInFull) {
    for (const SlotHeader bad : {SlotHeader{1, Kind::packed, 0, 8}, SlotHeader{1, Kind::packed, 8, 0},
                                 SlotHeader{1, Kind::packed, 8, 12}, SlotHeader{1, Kind::packed, 4, 8}}) {
        Channel<Ring> channel(4);
        set_header(channel.ring, 0, bad);
        std::uint64_t values[8];
        EXPECT_EQ(channel.consumer.recv_packed(std::span(values)).error(), ReceiveError::malformed);
    }
}

TEST(HostileProducer, MalformedMessageIsDroppedAndTheNextOneArrives) {
    Channel<Ring> channel(4);
    ASSERT_TRUE(channel.producer.send(Full::of(1)));
    ASSERT_TRUE(channel.producer.send(Full::of(2)));
    set_header(channel.ring, 0, {1, Kind::inline_data, 0, 5000});
    EXPECT_EQ(channel.consumer.recv().error(), ReceiveError::malformed);
    Full full;
    ASSERT_TRUE(channel.consumer.recv(full));
    EXPECT_EQ(full, Full::of(2));
    EXPECT_EQ(channel.producer.free_slots(4), 4u);
}

TEST(HostileProducer, CapacityChangedAfterAttachIsNotBelieved) {
    Channel<Ring> channel(4);
    channel.ring.header().identity.capacity = max_capacity;
    for (std::uint64_t i = 0; i < 12; ++i) {
        ASSERT_TRUE(channel.producer.send(Full::of(i)));
        Full full;
        ASSERT_TRUE(channel.consumer.recv(full));
        EXPECT_EQ(full, Full::of(i));
    }
}

TEST(HostileConsumer, ReleasesNobodyAskedForAreOnlyItsOwnLoss) {
    Channel<Ring> channel(4);
    for (std::uint32_t position = 0; position < 4; ++position)
        set_header(channel.ring, position, {position * 77 + 9, Kind::none, 0, 0});
    EXPECT_EQ(channel.producer.send(Full::of(1)).error(), SendError::full);
    const Full values[8] = {};
    EXPECT_EQ(channel.producer.send_batch(std::span(values)).error(), SendError::full);
}

}  // namespace
}  // namespace exo::fusion::test
