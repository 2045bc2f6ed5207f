// The sixteen sizes that small allocations are rounded up to, and the one table that maps a size to them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace exo::guest {

inline constexpr std::size_t size_class_count = 16;
inline constexpr std::array<std::uint16_t, size_class_count> size_class_bytes = {
    8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048};
/// Larger requests take granules or whole pages.
inline constexpr std::size_t largest_small_size = size_class_bytes.back();

/// What is above the classes is counted in these.
inline constexpr std::size_t granule_bytes = 512;
inline constexpr std::uint32_t granules_per_page = 8;
inline constexpr std::uint32_t longest_piece = 32;  ///< in granules; above that it is pages

/// A number of granules that is not whole pages is a piece of a span.
constexpr bool is_piece(std::size_t granules) {
    return granules % granules_per_page != 0;
}
/// What an allocation above the classes takes.
constexpr std::size_t granules_for(std::size_t size, std::size_t alignment) {
    const std::size_t granules = size / granule_bytes + (size % granule_bytes != 0 || size == 0);
    if (granules <= longest_piece && alignment <= granule_bytes) return granules;
    return (granules + granules_per_page - 1) / granules_per_page * granules_per_page;
}

/// An index into size_class_bytes.
using SizeClass = std::uint8_t;
inline constexpr SizeClass no_size_class = size_class_count;

namespace detail {
consteval auto make_size_class_table() {
    std::array<SizeClass, largest_small_size / 8 + 1> table{};
    SizeClass size_class = 0;
    for (std::size_t i = 0; i < table.size(); ++i) {
        if (i * 8 > size_class_bytes[size_class]) ++size_class;
        table[i] = size_class;
    }
    return table;
}
inline constexpr auto size_class_table = make_size_class_table();
}  // namespace detail

/// The smallest class that holds `size` bytes, 0 … largest_small_size; no bytes count as one.
constexpr SizeClass size_class_of(std::size_t size) {
    return detail::size_class_table[(size + 7) / 8];
}

/// Every object of a class is aligned to the largest power of two that divides its size.
constexpr std::size_t size_class_alignment(SizeClass size_class) {
    const std::size_t bytes = size_class_bytes[size_class];
    return bytes & (~bytes + 1);
}

/// The smallest class for `size` bytes at a multiple of `alignment` (a power of two), or no_size_class when
/// only whole pages will do. Allocation and sized free both ask here, so they agree.
constexpr SizeClass aligned_size_class_of(std::size_t size, std::size_t alignment) {
    if (size > largest_small_size || alignment > largest_small_size) return no_size_class;
    SizeClass size_class = size_class_of(size);
    while (size_class < size_class_count && size_class_alignment(size_class) < alignment) ++size_class;
    return size_class;
}

}  // namespace exo::guest
