// The steps that move a slot through its life: what every kind of producer and consumer does alike.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shared/fusion/message.h"
#include "shared/fusion/native_atomics.h"
#include "shared/fusion/slot.h"

namespace exo::fusion {

template <class Atomics>
struct SlotAccess {
    static SlotHeader load_header(const Slot& slot) {
        return SlotHeader::from_word(Atomics::load_acquire(slot.header));
    }

    static bool is_free(const Slot& slot, std::uint32_t position) {
        return load_header(slot).sequence == position;
    }
    static bool is_published(const Slot& slot, std::uint32_t position) {
        return load_header(slot).sequence == position + 1;
    }

    /// Payload first, then the word that publishes it.
    static void publish(Slot& slot, std::uint32_t position, Kind kind, std::uint8_t flags,
                        const std::byte* bytes, std::size_t length) {
        Atomics::copy_to_shared(slot.payload, bytes, length);
        const SlotHeader header{position + 1, kind, flags, static_cast<std::uint16_t>(length)};
        Atomics::store_release(slot.header, header.to_word());
    }

    static void copy_payload(std::byte* to, const Slot& slot, std::size_t length) {
        Atomics::copy_from_shared(to, slot.payload, length);
    }

    /// Gives the slot to the next lap. Written for each slot: this store also brings the line to this CPU for
    /// good, so that the producer's next write of it takes one transfer. No load of the slot can move behind
    /// it.
    static void release(Slot& slot, std::uint32_t position, std::uint32_t capacity) {
        Atomics::store_release(slot.header, SlotHeader{position + capacity, Kind::none, 0, 0}.to_word());
    }
};

/// What a consumer demands of a header before it looks at the payload.
constexpr bool is_well_formed(const SlotHeader& header) {
    return header.length <= payload_size && header.kind >= Kind::inline_data && header.kind <= Kind::control;
}
template <InlinePayload T>
constexpr bool holds_one(const SlotHeader& header) {
    return header.kind == Kind::inline_data && header.length == sizeof(T);
}
/// The same, and published for that position; one comparison of the whole word, but for the flags.
template <InlinePayload T>
constexpr bool holds_one_at(std::uint32_t position, const SlotHeader& header) {
    const SlotHeader wanted{position + 1, Kind::inline_data, header.flags, sizeof(T)};
    return header.to_word() == wanted.to_word();
}

/// Records of one size put together in a slot; their size travels in the flags.
template <class T>
concept PackedRecord = InlinePayload<T> && sizeof(T) <= payload_size / 2;

template <PackedRecord T>
inline constexpr std::uint32_t records_per_slot = payload_size / sizeof(T);

template <PackedRecord T>
constexpr bool holds_packed(const SlotHeader& header) {
    return header.kind == Kind::packed && header.flags == sizeof(T) && header.length != 0 &&
           header.length <= payload_size && header.length % sizeof(T) == 0;
}

}  // namespace exo::fusion
