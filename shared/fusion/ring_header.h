// The page in front of a ring's slots: what the ring is, and the words that both sides share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace exo::fusion {

/// Version of the ring's layout and protocol; README.md has the changelog.
inline constexpr std::uint32_t abi_version = 1;
inline constexpr std::uint64_t ring_magic = 0x474e'4952'4f58'45ff;  // ff "EXORING" in memory
inline constexpr std::uint32_t default_capacity = 4096;
inline constexpr std::uint32_t min_capacity = 2;  // with one slot, "published" and "released" would be equal
inline constexpr std::uint32_t max_capacity = 1U << 16;

/// How many endpoints may use one side of a ring at the same time. Part of the ABI: an endpoint that
/// does not follow the ring's policy is refused by attach().
enum class Sharing : std::uint8_t { one = 1, many = 2 };

/// Written once by format(), read once by attach().
struct RingIdentity {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t slot_bytes;
    std::uint32_t capacity;        ///< slots, a power of two
    std::uint32_t first_position;  ///< where both sides begin; 0 but in tests of the wrap-around
    Sharing producers;
    Sharing consumers;
    std::uint8_t reserved[38];
};

/// The words that producers share with each other and with the consumer.
struct ProducerLine {
    std::uint64_t
        claimed;  ///< many producers: the next position not claimed yet, with 32 more bits against ABA
    std::uint32_t published;  ///< messages published, counted from first_position; for wake-ups only
    std::uint8_t reserved[52];
};

/// The words that consumers share with each other and with the producer.
struct ConsumerLine {
    std::uint64_t
        claimed;  ///< many consumers: the next position not claimed yet, with 32 more bits against ABA
    std::uint32_t released;  ///< slots released, counted from first_position; for wake-ups only
    std::uint8_t reserved[52];
};

/// Where one side says whether, and when, it wants to be notified; see wake.h.
struct WakeLine {
    std::uint64_t word;  ///< a WakeWord, accessed atomically
    std::uint64_t
        application[7];  ///< for the users of the ring: what the waiting side tells the other one beside it
};

/// Lines that different CPUs write stand 128 bytes apart, because prefetchers fetch lines in pairs.
struct alignas(4096) RingHeader {
    RingIdentity identity;
    std::uint8_t gap0[64];
    ProducerLine producer;
    std::uint8_t gap1[64];
    ConsumerLine consumer;
    std::uint8_t gap2[64];
    WakeLine consumer_wake;  ///< written by a consumer that waits for messages
    std::uint8_t gap3[64];
    WakeLine producer_wake;  ///< written by a producer that waits for free slots
    std::uint8_t gap4[4096 - 576];
};

static_assert(sizeof(RingIdentity) == 64);
static_assert(offsetof(RingIdentity, magic) == 0);
static_assert(offsetof(RingIdentity, version) == 8);
static_assert(offsetof(RingIdentity, slot_bytes) == 12);
static_assert(offsetof(RingIdentity, capacity) == 16);
static_assert(offsetof(RingIdentity, first_position) == 20);
static_assert(offsetof(RingIdentity, producers) == 24);
static_assert(offsetof(RingIdentity, consumers) == 25);
static_assert(sizeof(ProducerLine) == 64 && sizeof(ConsumerLine) == 64 && sizeof(WakeLine) == 64);
static_assert(offsetof(ProducerLine, claimed) == 0 && offsetof(ProducerLine, published) == 8);
static_assert(offsetof(ConsumerLine, claimed) == 0 && offsetof(ConsumerLine, released) == 8);
static_assert(offsetof(WakeLine, word) == 0 && offsetof(WakeLine, application) == 8);
static_assert(sizeof(RingHeader) == 4096 && alignof(RingHeader) == 4096);
static_assert(offsetof(RingHeader, identity) == 0);
static_assert(offsetof(RingHeader, producer) == 128);
static_assert(offsetof(RingHeader, consumer) == 256);
static_assert(offsetof(RingHeader, consumer_wake) == 384);
static_assert(offsetof(RingHeader, producer_wake) == 512);

}  // namespace exo::fusion
