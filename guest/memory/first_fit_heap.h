#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace exo::guest {

/// The classic heap: one list of free blocks in the order of their addresses, the first that fits is taken,
/// neighbours are joined when one is freed. Memory comes in regions and stays in the heap.
///
/// A header before each piece holds its size and a check word, so pieces can be freed with or without their
/// size, and a piece freed twice or never handed out is noticed.
class FirstFitHeap {
  public:
    /// Pieces are at least so aligned.
    static constexpr std::size_t granule = 16;
    /// What a region must hold beyond one piece of a given size and alignment.
    static constexpr std::size_t region_overhead = 2 * granule;

    enum class FreeResult : std::uint8_t { freed, not_allocated, wrong_size };

    /// Gives memory to the heap. Less than a block's worth, after alignment, is ignored.
    void add_region(std::span<std::byte> memory);

    /// `alignment` is a power of two. nullptr when no block is large enough.
    void* allocate(std::size_t size, std::size_t alignment = granule);

    /// `size` is the one asked for, or 0 when it is not known. Nothing changes unless the result is `freed`.
    /// nullptr is freed with no effect.
    FreeResult free(void* pointer, std::size_t size = 0);

    std::size_t size() const { return size_; }
    /// Bytes handed out, with headers and rounding.
    std::size_t used() const { return used_; }
    std::size_t allocations() const { return allocations_; }
    /// Free blocks; 1 for each region when nothing is handed out, if regions do not touch.
    std::size_t free_blocks() const;
    /// The largest free block, header included.
    std::size_t largest_free() const;

  private:
    struct FreeBlock {
        std::size_t size;  ///< bytes, this header included
        FreeBlock* next;
    };
    struct Header {
        std::uint32_t blocks;  ///< size in granules, this header included
        std::uint32_t slack;   ///< bytes at the end that were not asked for
        std::uint64_t check;
    };
    static_assert(sizeof(FreeBlock) == granule && sizeof(Header) == granule);
    static constexpr std::size_t min_block = 2 * granule;

    static std::uint64_t check_word(const Header& header);
    void insert(std::byte* start, std::size_t size);

    FreeBlock* first_ = nullptr;
    std::size_t size_ = 0;
    std::size_t used_ = 0;
    std::size_t allocations_ = 0;
};

}  // namespace exo::guest
