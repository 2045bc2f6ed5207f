#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

namespace exo::vmm {

/// A guest-physical address. Never a host pointer.
struct GuestAddress {
    std::uint64_t value = 0;
    auto operator<=>(const GuestAddress&) const = default;
    constexpr GuestAddress operator+(std::uint64_t offset) const { return {value + offset}; }
};

/// Guest RAM as the host sees it: regions of guest-physical addresses over host memory. Everything a device
/// reads or writes in the guest goes through here, so no address from the guest is used unchecked. Ranges
/// that cross from one region into the next are refused.
class GuestMemory {
  public:
    struct Region {
        GuestAddress start;
        std::span<std::byte> host;
    };

    GuestMemory() = default;
    explicit GuestMemory(std::vector<Region> regions) : regions_(std::move(regions)) {
        std::ranges::sort(regions_, {}, &Region::start);
    }

    std::span<const Region> regions() const { return regions_; }

    /// The host's view of `size` bytes at `address`, or nothing when any of them is not RAM.
    std::optional<std::span<std::byte>> span_at(GuestAddress address, std::uint64_t size) const {
        for (const Region& region : regions_) {
            if (address < region.start) break;
            const std::uint64_t offset = address.value - region.start.value;
            if (offset < region.host.size() && size <= region.host.size() - offset)
                return region.host.subspan(offset, size);
        }
        return std::nullopt;
    }

    /// A private copy of what the guest holds there now. Read once: the guest may change it at any moment.
    template <typename T>
        requires std::is_trivially_copyable_v<T>
    std::optional<T> read(GuestAddress address) const {
        const auto bytes = span_at(address, sizeof(T));
        if (!bytes) return std::nullopt;
        T value;
        std::memcpy(&value, bytes->data(), sizeof(T));
        return value;
    }

    template <typename T>
        requires std::is_trivially_copyable_v<T>
    bool write(GuestAddress address, const T& value) const {
        const auto bytes = span_at(address, sizeof(T));
        if (!bytes) return false;
        std::memcpy(bytes->data(), &value, sizeof(T));
        return true;
    }

  private:
    std::vector<Region> regions_;
};

}  // namespace exo::vmm
