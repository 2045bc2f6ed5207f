#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace exo::guest::acpi {

/// A little-endian number in a table, nothing when the table is too short to hold it.
template <std::unsigned_integral T>
std::optional<T> read(std::span<const std::byte> bytes, std::size_t offset) {
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

/// ACPI's checksum: all bytes add up to 0 modulo 256.
inline bool sums_to_zero(std::span<const std::byte> bytes) {
    unsigned sum = 0;
    for (const std::byte byte : bytes) sum += std::to_integer<unsigned>(byte);
    return sum % 256 == 0;
}

}  // namespace exo::guest::acpi
