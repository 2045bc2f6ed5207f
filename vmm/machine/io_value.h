#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace exo::vmm {

/// The little-endian value that an access of 1 to 8 bytes carries.
inline std::uint64_t value_of(std::span<const std::byte> data) {
    std::uint64_t value = 0;
    std::memcpy(&value, data.data(), std::min(data.size(), sizeof value));
    return value;
}

/// Answers an access of 1 to 8 bytes with the low bytes of `value`.
inline void put_value(std::span<std::byte> data, std::uint64_t value) {
    std::memcpy(data.data(), &value, std::min(data.size(), sizeof value));
}

inline void put_ones(std::span<std::byte> data) {
    std::ranges::fill(data, std::byte{0xff});
}

}  // namespace exo::vmm
