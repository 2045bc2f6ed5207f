// Batches: several messages with one publication, and several small messages in one slot.
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "ring_memory.h"

namespace exo::fusion::test {
namespace {

std::vector<std::uint64_t> numbers(std::size_t count, std::uint64_t first = 0) {
    std::vector<std::uint64_t> values(count);
    std::iota(values.begin(), values.end(), first);
    return values;
}
std::span<const std::uint64_t> view(const std::vector<std::uint64_t>& values) {
    return values;
}

template <class RingType>
class Batch : public testing::Test {};
using Rings = testing::Types<Ring, ManyProducerRing, ManyConsumerRing, ManyToManyRing>;
TYPED_TEST_SUITE(Batch, Rings);

TYPED_TEST(Batch, GoesThroughWhole) {
    Channel<TypeParam> channel(64);
    EXPECT_EQ(channel.producer.send_batch(view(numbers(32))), 32u);
    std::vector<std::uint64_t> received(40);
    EXPECT_EQ(channel.consumer.recv_batch(std::span(received)), 32u);
    received.resize(32);
    EXPECT_EQ(received, numbers(32));
}

TYPED_TEST(Batch, IsSentAsFarAsThereIsRoom) {
    Channel<TypeParam> channel(8);
    ASSERT_EQ(channel.producer.send_batch(view(numbers(5))), 5u);
    EXPECT_EQ(channel.producer.send_batch(view(numbers(10, 5))), 3u);
    std::vector<std::uint64_t> received(8);
    EXPECT_EQ(channel.consumer.recv_batch(std::span(received)), 8u);
    EXPECT_EQ(received, numbers(8));
}

TYPED_TEST(Batch, IsRefusedByAFullRing) {
    Channel<TypeParam> channel(4);
    ASSERT_EQ(channel.producer.send_batch(view(numbers(4))), 4u);
    EXPECT_EQ(channel.producer.send_batch(view(numbers(1))).error(), SendError::full);
}

TYPED_TEST(Batch, OfNothingSendsAndReceivesNothing) {
    Channel<TypeParam> channel(4);
    EXPECT_EQ(channel.producer.send_batch(view({})), 0u);
    EXPECT_EQ(channel.consumer.recv().error(), ReceiveError::empty);
    ASSERT_TRUE(channel.producer.send(std::uint64_t{1}));
    EXPECT_EQ(channel.consumer.recv_batch(std::span<std::uint64_t>{}), 0u);
}

TYPED_TEST(Batch, LargerThanTheRingFillsIt) {
    Channel<TypeParam> channel(16);
    EXPECT_EQ(channel.producer.send_batch(view(numbers(100))), 16u);
    std::vector<std::uint64_t> received(100);
    EXPECT_EQ(channel.consumer.recv_batch(std::span(received)), 16u);
    received.resize(16);
    EXPECT_EQ(received, numbers(16));
}

TYPED_TEST(Batch, EmptyRingGivesNone) {
    Channel<TypeParam> channel(4);
    std::uint64_t values[4];
    EXPECT_EQ(channel.consumer.recv_batch(std::span(values)).error(), ReceiveError::empty);
}

TYPED_TEST(Batch, ReceivesInPieces) {
    Channel<TypeParam> channel(16);
    ASSERT_EQ(channel.producer.send_batch(view(numbers(10))), 10u);
    std::vector<std::uint64_t> all;
    std::uint64_t piece[4];
    for (const std::uint32_t expected : {4U, 4U, 2U}) {
        ASSERT_EQ(channel.consumer.recv_batch(std::span(piece)), expected);
        all.insert(all.end(), piece, piece + expected);
    }
    EXPECT_EQ(all, numbers(10));
}

TYPED_TEST(Batch, SizesOfEveryKindThroughManyLapsAndTheWrapAround) {
    Channel<TypeParam> channel(16, 0U - 100);
    std::uint64_t sent = 0;
    std::uint64_t taken = 0;
    for (std::size_t round = 0; round < 400; ++round) {
        sent += channel.producer.send_batch(view(numbers(round % 19, sent))).value_or(0);
        std::vector<std::uint64_t> piece(round % 7 + round % 11);
        const std::uint32_t count = channel.consumer.recv_batch(std::span(piece)).value_or(0);
        for (std::uint32_t i = 0; i < count; ++i) ASSERT_EQ(piece[i], taken++);
    }
    EXPECT_GT(taken, 1000u);
}

TYPED_TEST(Batch, UsesEverySlotThatIsFree) {
    // Every pair of fill level and wanted size: the search for free slots must find exactly the free ones.
    for (std::uint32_t filled = 0; filled <= 8; ++filled) {
        for (std::uint32_t wanted = 1; wanted <= 9; ++wanted) {
            Channel<TypeParam> channel(8, filled);
            ASSERT_EQ(channel.producer.send_batch(view(numbers(filled))).value_or(0), filled);
            const std::uint32_t expected = std::min(wanted, 8 - filled);
            EXPECT_EQ(channel.producer.send_batch(view(numbers(wanted))).value_or(0), expected);
        }
    }
}

TEST(BatchPublication, NothingIsVisibleUntilTheFirstSlotIs) {
    Channel<Ring> channel(8);
    ASSERT_EQ(channel.producer.send_batch(view(numbers(3))), 3u);
    // Undo the last store of the batch, which is the first slot's header: the state just before it.
    channel.ring.slot(0).header = SlotHeader{0, Kind::none, 0, 0}.to_word();
    EXPECT_EQ(channel.consumer.recv().error(), ReceiveError::empty);
    EXPECT_FALSE(channel.consumer.has_messages());
}

TEST(BatchPublication, AMessageOfAnotherKindEndsTheBatchInFrontOfIt) {
    Channel<Ring> channel(8);
    ASSERT_EQ(channel.producer.send_batch(view(numbers(2))), 2u);
    ASSERT_TRUE(channel.producer.send(std::uint64_t{7}, 0, Kind::control));
    ASSERT_EQ(channel.producer.send_batch(view(numbers(1, 2))), 1u);
    std::uint64_t values[8];
    EXPECT_EQ(channel.consumer.recv_batch(std::span(values)), 2u);
    EXPECT_EQ(channel.consumer.recv_batch(std::span(values)).error(), ReceiveError::malformed);
    EXPECT_EQ(channel.consumer.recv_batch(std::span(values)), 1u);
    EXPECT_EQ(values[0], 2u);
}

TEST(BatchPublication, ManyConsumersDropWhatIsNotWanted) {
    Channel<ManyConsumerRing> channel(8);
    ASSERT_TRUE(channel.producer.send(std::uint64_t{7}, 0, Kind::control));
    std::uint64_t values[8];
    EXPECT_EQ(channel.consumer.recv_batch(std::span(values)).error(), ReceiveError::malformed);
    ASSERT_EQ(channel.producer.send_batch(view(numbers(2))), 2u);
    ASSERT_TRUE(channel.producer.send(std::uint64_t{7}, 0, Kind::control));
    ASSERT_EQ(channel.producer.send_batch(view(numbers(1, 2))), 1u);
    ASSERT_EQ(channel.consumer.recv_batch(std::span(values)), 3u);
    EXPECT_EQ(values[2], 2u);
}

TEST(Packed, SevenWordsShareASlot) {
    Channel<Ring> channel(8);
    EXPECT_EQ(channel.producer.send_packed(view(numbers(20))), 20u);
    EXPECT_EQ(channel.producer.position(), 3u);
    std::vector<std::uint64_t> received(21);
    EXPECT_EQ(channel.consumer.recv_packed(std::span(received)), 20u);
    received.resize(20);
    EXPECT_EQ(received, numbers(20));
}

TEST(Packed, FillsTheRingAndSaysHowMany) {
    Channel<Ring> channel(4);
    EXPECT_EQ(channel.producer.send_packed(view(numbers(100))), 28u);
    EXPECT_EQ(channel.producer.send_packed(view(numbers(1))).error(), SendError::full);
    EXPECT_EQ(channel.producer.send_packed(view({})), 0u);
}

TEST(Packed, ReceivesWholeSlotsOnly) {
    Channel<Ring> channel(8);
    ASSERT_EQ(channel.producer.send_packed(view(numbers(21))), 21u);
    std::uint64_t values[15];
    EXPECT_EQ(channel.consumer.recv_packed(std::span(values)), 14u);
    EXPECT_EQ(channel.consumer.recv_packed(std::span(values)), 7u);
    EXPECT_EQ(values[6], 20u);
    EXPECT_EQ(channel.consumer.recv_packed(std::span(values)).error(), ReceiveError::empty);
}

TEST(Packed, RecordsOfAnotherSizeAreMalformed) {
    Channel<Ring> channel(8);
    const std::uint32_t small[3] = {1, 2, 3};
    ASSERT_EQ(channel.producer.send_packed(std::span<const std::uint32_t>(small)), 3u);
    std::uint64_t values[7];
    EXPECT_EQ(channel.consumer.recv_packed(std::span(values)).error(), ReceiveError::malformed);
    EXPECT_EQ(channel.consumer.recv_packed(std::span(values)).error(), ReceiveError::empty);
}

}  // namespace
}  // namespace exo::fusion::test
