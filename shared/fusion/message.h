// A message as a consumer hands it out: a private copy of a slot's content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

#include "shared/fusion/slot.h"

namespace exo::fusion {

/// Whatever fits a slot as one piece: no pointers to fix up, no constructors to run.
template <class T>
concept InlinePayload = std::is_trivially_copyable_v<T> && sizeof(T) <= payload_size;

/// A private copy: kind is a known one and length is within the payload, whoever the producer was.
struct Message {
    Kind kind = Kind::none;
    std::uint8_t flags = 0;
    std::uint16_t length = 0;
    alignas(8) std::byte payload[payload_size];

    Message() = default;
    explicit Message(const SlotHeader& header)
        : kind(header.kind), flags(header.flags), length(header.length) {}

    std::span<const std::byte> bytes() const { return {payload, length}; }

    /// The payload as a T, if it has exactly the size of one.
    template <InlinePayload T>
    std::optional<T> as() const {
        if (length != sizeof(T)) return std::nullopt;
        T value;
        __builtin_memcpy(&value, payload, sizeof(T));
        return value;
    }
};

}  // namespace exo::fusion
