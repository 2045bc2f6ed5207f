// The slot of a fusion ring: one cache line, an 8-byte header and 56 bytes of payload.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace exo::fusion {

inline constexpr std::size_t slot_size = 64;
inline constexpr std::size_t payload_size = 56;

/// What the payload of a slot is. Any other value in a slot makes the message malformed.
enum class Kind : std::uint8_t {
    none = 0,           ///< a slot that holds no message
    inline_data = 1,    ///< `length` bytes of the user's data
    shared_memory = 2,  ///< a PageDescriptor (pool.h): the data lies in pool pages
    packed = 3,         ///< several records of `flags` bytes each, `length` bytes in all
    control = 4,        ///< `length` bytes that the users of the ring agree on, apart from their data
};

/// The header as it lies in memory. It is read and written as one 64-bit word, so that the sequence,
/// the kind and the length a reader sees always belong together.
struct SlotHeader {
    std::uint32_t sequence;  ///< position: free for that position; position + 1: message published
    Kind kind;
    std::uint8_t flags;    ///< the user's, carried unchanged; for packed slots the size of a record
    std::uint16_t length;  ///< bytes of the payload in use, at most payload_size

    static constexpr SlotHeader from_word(std::uint64_t word) { return std::bit_cast<SlotHeader>(word); }
    constexpr std::uint64_t to_word() const { return std::bit_cast<std::uint64_t>(*this); }
};

/// One line of the ring, shared by both sides.
struct alignas(slot_size) Slot {
    std::uint64_t header;  ///< a SlotHeader, accessed atomically
    std::byte payload[payload_size];
};

static_assert(std::endian::native == std::endian::little, "the ABI is little-endian");
static_assert(sizeof(SlotHeader) == 8 && alignof(SlotHeader) == 4);
static_assert(offsetof(SlotHeader, sequence) == 0);
static_assert(offsetof(SlotHeader, kind) == 4);
static_assert(offsetof(SlotHeader, flags) == 5);
static_assert(offsetof(SlotHeader, length) == 6);
static_assert(sizeof(Slot) == slot_size && alignof(Slot) == slot_size);
static_assert(offsetof(Slot, header) == 0);
static_assert(offsetof(Slot, payload) == 8);

}  // namespace exo::fusion
