// Single messages through a ring with one producer and one consumer.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string_view>

#include "ring_memory.h"

namespace exo::fusion::test {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

TEST(Ring, IsCreatedEmptyWithTheCapacityAskedFor) {
    Channel<Ring> channel(4096);
    EXPECT_EQ(channel.ring.capacity(), 4096u);
    EXPECT_EQ(channel.producer.free_slots(4096), 4096u);
    EXPECT_FALSE(channel.consumer.has_messages());
}

TEST(Ring, SendsAndReceives) {
    Channel<Ring> channel(8);
    ASSERT_TRUE(channel.producer.send_inline(bytes_of("hello"), 3));
    const auto message = channel.consumer.recv();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->kind, Kind::inline_data);
    EXPECT_EQ(message->flags, 3);
    EXPECT_EQ(std::memcmp(message->bytes().data(), "hello", 5), 0);
    EXPECT_EQ(message->bytes().size(), 5u);
}

TEST(Ring, SecondSendFollowsTheFirst) {
    Channel<Ring> channel(8);
    ASSERT_TRUE(channel.producer.send_inline(bytes_of("one")));
    ASSERT_TRUE(channel.producer.send_inline(bytes_of("second")));
    EXPECT_EQ(channel.consumer.recv()->length, 3u);
    EXPECT_EQ(channel.consumer.recv()->length, 6u);
    EXPECT_EQ(channel.consumer.recv().error(), ReceiveError::empty);
}

TEST(Ring, KeepsAHundredInOrder) {
    Channel<Ring> channel(128);
    for (std::uint32_t i = 0; i < 100; ++i) ASSERT_TRUE(channel.producer.send(i));
    for (std::uint32_t i = 0; i < 100; ++i) {
        std::uint32_t value = ~0U;
        ASSERT_TRUE(channel.consumer.recv(value));
        EXPECT_EQ(value, i);
    }
}

TEST(Ring, EmptyIsAnErrorOfItsOwn) {
    Channel<Ring> channel(2);
    std::uint32_t value = 0;
    EXPECT_EQ(channel.consumer.recv().error(), ReceiveError::empty);
    EXPECT_EQ(channel.consumer.recv(value).error(), ReceiveError::empty);
}

TEST(Ring, FullIsAnErrorOfItsOwnAndOneReceiveEndsIt) {
    Channel<Ring> channel(4);
    for (std::uint32_t i = 0; i < 4; ++i) ASSERT_TRUE(channel.producer.send(i));
    EXPECT_EQ(channel.producer.send(4U).error(), SendError::full);
    EXPECT_EQ(channel.producer.free_slots(4), 0u);
    std::uint32_t value = ~0U;
    ASSERT_TRUE(channel.consumer.recv(value));
    EXPECT_EQ(value, 0u);
    EXPECT_TRUE(channel.producer.send(4U));
    EXPECT_EQ(channel.producer.send(5U).error(), SendError::full);
}

TEST(Ring, OneShortOfFullStillTakesOne) {
    Channel<Ring> channel(8);
    for (std::uint32_t i = 0; i < 7; ++i) ASSERT_TRUE(channel.producer.send(i));
    EXPECT_EQ(channel.producer.free_slots(8), 1u);
    EXPECT_TRUE(channel.producer.send(7U));
    EXPECT_EQ(channel.producer.send(8U).error(), SendError::full);
}

TEST(Ring, TooLargeIsAnErrorOfItsOwnAndSendsNothing) {
    Channel<Ring> channel(2);
    const std::byte bytes[payload_size + 1] = {};
    EXPECT_EQ(channel.producer.send_inline(bytes).error(), SendError::too_large);
    EXPECT_FALSE(channel.consumer.has_messages());
    EXPECT_TRUE(channel.producer.send_inline(std::span(bytes).first(payload_size)));
}

TEST(Ring, CopiesEveryLengthExactly) {
    Channel<Ring> channel(2);
    std::byte source[payload_size];
    for (std::size_t i = 0; i < payload_size; ++i) source[i] = static_cast<std::byte>(i + 1);
    for (std::size_t length = 0; length <= payload_size; ++length) {
        std::fill_n(channel.ring.slot(channel.producer.position()).payload, payload_size, std::byte{0xee});
        ASSERT_TRUE(channel.producer.send_inline(std::span(source).first(length)));
        const auto message = channel.consumer.recv();
        ASSERT_TRUE(message);
        ASSERT_EQ(message->length, length);
        EXPECT_EQ(std::memcmp(message->payload, source, length), 0) << length;
        for (std::size_t i = length; i < payload_size; ++i)
            EXPECT_EQ(message->payload[i], std::byte{0xee}) << length;
    }
}

TEST(Ring, ControlMessagesKeepTheirKind) {
    Channel<Ring> channel(2);
    ASSERT_TRUE(channel.producer.send(std::uint64_t{42}, 0, Kind::control));
    const auto message = channel.consumer.recv();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->kind, Kind::control);
    EXPECT_EQ(message->as<std::uint64_t>(), 42u);
    EXPECT_EQ(message->as<std::uint32_t>(), std::nullopt);
}

TEST(Ring, LivesThroughManyLapsAtTheSmallestCapacity) {
    Channel<Ring> channel(2);
    for (std::uint64_t i = 0; i < 100; ++i) {
        ASSERT_TRUE(channel.producer.send(Full::of(i)));
        Full full;
        ASSERT_TRUE(channel.consumer.recv(full));
        EXPECT_EQ(full, Full::of(i));
        EXPECT_EQ(channel.consumer.recv(full).error(), ReceiveError::empty);
    }
}

TEST(Ring, FillsAndDrainsEachLapCompletely) {
    Channel<Ring> channel(8);
    for (std::uint32_t lap = 0; lap < 5; ++lap) {
        for (std::uint32_t i = 0; i < 8; ++i) ASSERT_TRUE(channel.producer.send(lap * 8 + i));
        ASSERT_EQ(channel.producer.send(0U).error(), SendError::full);
        for (std::uint32_t i = 0; i < 8; ++i) {
            std::uint32_t value = ~0U;
            ASSERT_TRUE(channel.consumer.recv(value));
            EXPECT_EQ(value, lap * 8 + i);
        }
        ASSERT_FALSE(channel.consumer.has_messages());
    }
}

TEST(Ring, ProducerThatLooksAheadSendsNoMoreThanWasReleased) {
    for (std::uint32_t released = 1; released < 1024; released += 73) {
        Channel<Ring> channel(1024);
        for (std::uint32_t i = 0; i < 1024; ++i) ASSERT_TRUE(channel.producer.send(i));
        std::uint32_t value = 0;
        for (std::uint32_t i = 0; i < released; ++i) ASSERT_TRUE(channel.consumer.recv(value));
        std::uint32_t sent = 0;
        while (channel.producer.send(1024 + sent)) ++sent;
        EXPECT_EQ(sent, released);
        for (std::uint32_t i = released; i < 1024 + released; ++i) {
            ASSERT_TRUE(channel.consumer.recv(value));
            ASSERT_EQ(value, i);
        }
    }
}

TEST(Ring, SequencesWrapAroundPast2To32) {
    Channel<Ring> channel(8, 0U - 20);
    for (std::uint64_t i = 0; i < 60; ++i) {
        for (std::uint64_t k = 0; k < 8; ++k) ASSERT_TRUE(channel.producer.send(Full::of(i * 8 + k)));
        ASSERT_EQ(channel.producer.send(Full::of(0)).error(), SendError::full);
        for (std::uint64_t k = 0; k < 8; ++k) {
            Full full;
            ASSERT_TRUE(channel.consumer.recv(full)) << i;
            ASSERT_EQ(full, Full::of(i * 8 + k));
        }
        ASSERT_EQ(channel.consumer.recv().error(), ReceiveError::empty);
    }
    EXPECT_LT(channel.producer.position(), 1000u);
}

TEST(Ring, WorksBetweenTwoMappingsOfTheSameMemory) {
    const std::size_t bytes = 2 * 4096;
    const int memory = memfd_create("ring", MFD_CLOEXEC);
    ASSERT_GE(memory, 0);
    ASSERT_EQ(ftruncate(memory, static_cast<off_t>(bytes)), 0);
    const auto map = [&] {
        void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
        EXPECT_NE(address, MAP_FAILED);
        return std::span(static_cast<std::byte*>(address), bytes);
    };
    const std::span<std::byte> here = map();
    const std::span<std::byte> there = map();
    close(memory);

    Ring::Producer producer(*Ring::format(here, 16));
    Ring::Consumer consumer(*Ring::attach(there));
    for (std::uint64_t i = 0; i < 50; ++i) {
        ASSERT_TRUE(producer.send(Full::of(i)));
        Full full;
        ASSERT_TRUE(consumer.recv(full));
        EXPECT_EQ(full, Full::of(i));
    }
    munmap(here.data(), bytes);
    munmap(there.data(), bytes);
}

}  // namespace
}  // namespace exo::fusion::test
