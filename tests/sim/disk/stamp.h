#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace exo::sim {

inline constexpr std::size_t sector_bytes = 512;

/// What was written to a sector, by a number; 0 is what was there at first.
using Version = std::uint32_t;

namespace detail {

using SectorWords = std::array<std::uint64_t, sector_bytes / sizeof(std::uint64_t)>;

/// Every word tells sector and version, so that a piece of another write shows, wherever it lies.
constexpr SectorWords stamp_words(std::uint64_t sector, Version version) {
    SectorWords words{};
    words[0] = sector << 32 | version;
    for (std::size_t i = 1; i < words.size(); ++i) words[i] = words[0] * 0x9e37'79b9'7f4a'7c15 + i;
    return words;
}

}  // namespace detail

/// Fills one sector's memory.
inline void stamp(std::byte* memory, std::uint64_t sector, Version version) {
    const auto words = detail::stamp_words(sector, version);
    std::memcpy(memory, words.data(), sector_bytes);
}

/// The version that a sector's memory holds; none when it is not wholly one that was made for this sector.
inline std::optional<Version> version_of(const std::byte* memory, std::uint64_t sector) {
    std::uint64_t first = 0;
    std::memcpy(&first, memory, sizeof(first));
    const auto version = static_cast<Version>(first);
    const auto words = detail::stamp_words(sector, version);
    if (std::memcmp(memory, words.data(), sector_bytes) != 0) return std::nullopt;
    return version;
}

}  // namespace exo::sim
