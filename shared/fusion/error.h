// Why an operation on a ring failed.
#pragma once

#include <cstdint>

namespace exo::fusion {

/// Why memory is not, or cannot become, a ring.
enum class RingError : std::uint8_t {
    misaligned,       ///< the memory does not begin at a page boundary of this address space
    bad_capacity,     ///< not a power of two, or not within min_capacity … max_capacity
    too_small,        ///< fewer bytes than the header page and the slots need
    bad_magic,        ///< nobody has formatted a ring here
    wrong_version,    ///< formatted by another version of the ABI
    wrong_slot_size,  ///< slots are not 64 bytes
    wrong_sharing,    ///< the ring's policy for producers or consumers is not the one asked for
};

enum class SendError : std::uint8_t {
    full,       ///< no free slot (or too few for what must stay together); try again after a receive
    too_large,  ///< more bytes than one message can carry; nothing was sent
    no_pages,   ///< the pool has no run of free pages that long; nothing was sent
};

enum class ReceiveError : std::uint8_t {
    empty,      ///< no message published
    malformed,  ///< the message's kind or length is impossible or not the one asked for; it was dropped
    corrupt,    ///< the slot's sequence is one the protocol never writes: the other side is broken
};

/// Why memory is not a pool, or a message's pages were not accepted.
enum class PoolError : std::uint8_t {
    misaligned,      ///< the memory does not begin at a page boundary of this address space
    bad_page_count,  ///< none, or more than max_pool_pages
    too_small,       ///< fewer bytes than header, records and pages need
    bad_magic,       ///< nobody has formatted a pool here
    wrong_version,   ///< formatted by another version of the ABI
    no_descriptor,   ///< the message is not of Kind::shared_memory, or not of a descriptor's size
    out_of_range,    ///< the descriptor names pages beyond the pool, or more bytes than its pages have
    not_held,        ///< the descriptor is stale, was accepted before, or names no run
};

constexpr const char* describe(RingError error) {
    switch (error) {
        case RingError::misaligned:
            return "ring memory is not aligned to 4096 bytes";
        case RingError::bad_capacity:
            return "ring capacity is not a power of two from 2 to 65536";
        case RingError::too_small:
            return "memory is too small for the ring's header page and slots";
        case RingError::bad_magic:
            return "memory holds no fusion ring (wrong magic)";
        case RingError::wrong_version:
            return "ring was formatted by another ABI version";
        case RingError::wrong_slot_size:
            return "ring slots are not 64 bytes";
        case RingError::wrong_sharing:
            return "ring was formatted for other producers or consumers (one or many)";
    }
    return "unknown ring error";
}

constexpr const char* describe(SendError error) {
    switch (error) {
        case SendError::full:
            return "ring is full";
        case SendError::too_large:
            return "message is too large";
        case SendError::no_pages:
            return "pool has no free run of pages that long";
    }
    return "unknown send error";
}

constexpr const char* describe(ReceiveError error) {
    switch (error) {
        case ReceiveError::empty:
            return "ring is empty";
        case ReceiveError::malformed:
            return "message is malformed";
        case ReceiveError::corrupt:
            return "slot sequence breaks the protocol";
    }
    return "unknown receive error";
}

constexpr const char* describe(PoolError error) {
    switch (error) {
        case PoolError::misaligned:
            return "pool memory is not aligned to 4096 bytes";
        case PoolError::bad_page_count:
            return "pool has no pages or more than 262144";
        case PoolError::too_small:
            return "memory is too small for the pool's records and pages";
        case PoolError::bad_magic:
            return "memory holds no pool (wrong magic)";
        case PoolError::wrong_version:
            return "pool was formatted by another ABI version";
        case PoolError::no_descriptor:
            return "message carries no page descriptor";
        case PoolError::out_of_range:
            return "page descriptor reaches beyond the pool";
        case PoolError::not_held:
            return "page descriptor is stale or was used before";
    }
    return "unknown pool error";
}

}  // namespace exo::fusion
