#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

namespace exo::vmm {

/// The `size` bytes at `offset`, or nothing when they do not lie in `bytes`.
inline std::optional<std::span<const std::byte>> bytes_at(std::span<const std::byte> bytes,
                                                          std::uint64_t offset, std::uint64_t size) {
    if (offset > bytes.size() || size > bytes.size() - offset) return std::nullopt;
    return bytes.subspan(offset, size);
}

/// A value of untrusted bytes, at any alignment, or nothing when it does not lie in them.
template <typename T>
    requires std::is_trivially_copyable_v<T>
std::optional<T> value_at(std::span<const std::byte> bytes, std::uint64_t offset) {
    const auto part = bytes_at(bytes, offset, sizeof(T));
    if (!part) return std::nullopt;
    T value;
    std::memcpy(&value, part->data(), sizeof(T));
    return value;
}

}  // namespace exo::vmm
