// The bytes in memory, as another implementation of the ABI would write and read them.
#include <gtest/gtest.h>

#include <cstring>

#include "ring_memory.h"

namespace exo::fusion::test {
namespace {

template <class T>
T read_at(std::span<const std::byte> memory, std::size_t offset) {
    T value;
    std::memcpy(&value, memory.data() + offset, sizeof(T));
    return value;
}
template <class T>
void write_at(std::span<std::byte> memory, std::size_t offset, T value) {
    std::memcpy(memory.data() + offset, &value, sizeof(T));
}

TEST(Abi, FormattedHeaderReadsByOffset) {
    const RingMemory memory(ring_bytes(8));
    ASSERT_TRUE(Ring::format(memory.span(), 8, 5));
    EXPECT_EQ(std::memcmp(memory.span().data(),
                          "\xff"
                          "EXORING",
                          8),
              0);
    EXPECT_EQ(read_at<std::uint32_t>(memory.span(), 8), 1u);    // version
    EXPECT_EQ(read_at<std::uint32_t>(memory.span(), 12), 64u);  // slot size
    EXPECT_EQ(read_at<std::uint32_t>(memory.span(), 16), 8u);   // capacity
    EXPECT_EQ(read_at<std::uint32_t>(memory.span(), 20), 5u);   // first position
    EXPECT_EQ(read_at<std::uint8_t>(memory.span(), 24), 1u);    // one producer
    EXPECT_EQ(read_at<std::uint8_t>(memory.span(), 25), 1u);    // one consumer
}

TEST(Abi, SlotLifeReadsByOffset) {
    Channel<Ring> channel(4);
    const auto slot = [&] {
        return std::span(reinterpret_cast<const std::byte*>(&channel.ring.slot(0)), slot_size);
    };
    EXPECT_EQ(read_at<std::uint32_t>(slot(), 0), 0u);
    ASSERT_TRUE(channel.producer.send(std::uint32_t{0x11223344}, 7));
    EXPECT_EQ(read_at<std::uint32_t>(slot(), 0), 1u);
    EXPECT_EQ(read_at<std::uint8_t>(slot(), 4), 1u);   // inline data
    EXPECT_EQ(read_at<std::uint8_t>(slot(), 5), 7u);   // flags
    EXPECT_EQ(read_at<std::uint16_t>(slot(), 6), 4u);  // length
    EXPECT_EQ(read_at<std::uint32_t>(slot(), 8), 0x11223344u);
    ASSERT_TRUE(channel.consumer.recv());
    EXPECT_EQ(read_at<std::uint32_t>(slot(), 0), 4u);  // position + capacity
}

struct BadHeader {
    const char* name;
    std::size_t offset;
    std::uint32_t value;
    RingError expected;
};
class AttachRefuses : public testing::TestWithParam<BadHeader> {};

TEST_P(AttachRefuses, AHeaderThatIsNotThisAbi) {
    const RingMemory memory(ring_bytes(8));
    ASSERT_TRUE(Ring::format(memory.span(), 8));
    write_at(memory.span(), GetParam().offset, GetParam().value);
    const auto ring = Ring::attach(memory.span());
    ASSERT_FALSE(ring);
    EXPECT_EQ(ring.error(), GetParam().expected) << describe(ring.error());
}

INSTANTIATE_TEST_SUITE_P(Abi, AttachRefuses,
                         testing::Values(BadHeader{"Magic", 0, 0, RingError::bad_magic},
                                         BadHeader{"Version", 8, 2, RingError::wrong_version},
                                         BadHeader{"SlotSize", 12, 72, RingError::wrong_slot_size},
                                         BadHeader{"CapacityZero", 16, 0, RingError::bad_capacity},
                                         BadHeader{"CapacityOne", 16, 1, RingError::bad_capacity},
                                         BadHeader{"CapacityOdd", 16, 6, RingError::bad_capacity},
                                         BadHeader{"CapacityHuge", 16, 1U << 31, RingError::bad_capacity},
                                         BadHeader{"CapacityBeyondMemory", 16, 1024, RingError::too_small},
                                         BadHeader{"ManyProducers", 24, 0x0102, RingError::wrong_sharing},
                                         BadHeader{"UnknownSharing", 24, 0x0903, RingError::wrong_sharing}),
                         [](const auto& test) { return test.param.name; });

TEST(Abi, FormatRefusesWhatCannotBeARing) {
    const RingMemory memory(ring_bytes(8));
    EXPECT_EQ(Ring::format(memory.span(), 1).error(), RingError::bad_capacity);
    EXPECT_EQ(Ring::format(memory.span(), 12).error(), RingError::bad_capacity);
    EXPECT_EQ(Ring::format(memory.span(), max_capacity * 2).error(), RingError::bad_capacity);
    EXPECT_EQ(Ring::format(memory.span().first(ring_bytes(8) - 1), 8).error(), RingError::too_small);
    EXPECT_EQ(Ring::format(memory.span().subspan(64), 2).error(), RingError::misaligned);
}

TEST(Abi, AttachRefusesMemoryThatCannotHoldARing) {
    const RingMemory memory(ring_bytes(8));
    EXPECT_EQ(Ring::attach(memory.span()).error(), RingError::bad_magic);
    EXPECT_EQ(Ring::attach(memory.span().first(64)).error(), RingError::too_small);
    EXPECT_EQ(Ring::attach(memory.span().subspan(8)).error(), RingError::misaligned);
}

TEST(Abi, SharingIsCheckedForEveryKindOfRing) {
    const RingMemory memory(ring_bytes(8));
    ASSERT_TRUE(ManyToManyRing::format(memory.span(), 8));
    EXPECT_EQ(Ring::attach(memory.span()).error(), RingError::wrong_sharing);
    EXPECT_EQ(ManyProducerRing::attach(memory.span()).error(), RingError::wrong_sharing);
    EXPECT_EQ(ManyConsumerRing::attach(memory.span()).error(), RingError::wrong_sharing);
    EXPECT_TRUE(ManyToManyRing::attach(memory.span()));
}

}  // namespace
}  // namespace exo::fusion::test
