#pragma once

#include <cstddef>
#include <span>

namespace exo::guest {

inline constexpr std::size_t cache_line_bytes = 64;
/// As many as a first-level data cache has sets: 4096 bytes a way, on every x86-64 of the last twenty years.
inline constexpr std::size_t stack_colours = 64;

/// The stack without a few lines at its top, other ones for each number: stacks are aligned to pages, so
/// without this the hot ends of all of them would compete for the same few sets of the first-level cache.
/// Takes at most 4032 bytes away.
inline std::span<std::byte> colour_stack(std::span<std::byte> stack, std::size_t number) {
    return stack.first(stack.size() - number % stack_colours * cache_line_bytes);
}

}  // namespace exo::guest
