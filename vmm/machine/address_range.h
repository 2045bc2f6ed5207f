#pragma once

#include <cstdint>

namespace exo::vmm {

/// A half-open range of ports or of guest-physical addresses that does not reach past 2^64 - 1.
struct AddressRange {
    std::uint64_t start = 0;
    std::uint64_t size = 0;

    constexpr std::uint64_t end() const { return start + size; }
    constexpr bool valid() const { return size != 0 && size <= UINT64_MAX - start; }
    constexpr bool contains(const AddressRange& other) const {
        return other.valid() && other.start >= start && other.size <= size &&
               other.start - start <= size - other.size;
    }
    constexpr bool overlaps(const AddressRange& other) const {
        return start < other.end() && other.start < end();
    }
    constexpr bool operator==(const AddressRange&) const = default;
};

}  // namespace exo::vmm
