// Layout of a shared-memory pool: a header page, one line of bookkeeping a page, then the pages.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace exo::fusion {

inline constexpr std::uint64_t pool_magic = 0x4c4f'4f50'4f58'45ff;  // ff "EXOPOOL" in memory
inline constexpr std::size_t pool_page_size = 4096;
inline constexpr std::uint32_t max_pool_pages = 1U << 18;

/// Written once by format(), read once by attach().
struct alignas(4096) PoolHeader {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t page_count;
    std::uint8_t reserved[4080];
};

/// Who has a page.
enum class PagePhase : std::uint8_t {
    free = 0,
    held = 1,      ///< first page of a run that its allocator has, or that is on its way in a descriptor
    accepted = 2,  ///< first page of a run that a receiver has
    body = 3,      ///< a later page of a run
};

/// State of a page, one atomic word. A run counts its allocations, so that an old descriptor of it is
/// refused.
struct PageState {
    std::uint32_t run_pages;  ///< first page: pages in the run
    std::uint16_t generation;
    PagePhase phase;
    std::uint8_t reserved;

    static constexpr PageState from_word(std::uint64_t word) { return std::bit_cast<PageState>(word); }
    constexpr std::uint64_t to_word() const { return std::bit_cast<std::uint64_t>(*this); }
};

/// A line for each page: neighbours are usually at work on different CPUs.
struct alignas(64) PageRecord {
    std::uint64_t state;
    std::uint8_t reserved[56];
};

/// Payload of a Kind::shared_memory slot: a run of pages that changes hands with the message.
struct PageDescriptor {
    std::uint32_t first_page;
    std::uint32_t page_count;
    std::uint32_t length;  ///< bytes in use, from the beginning of the first page
    std::uint16_t generation;
    std::uint16_t reserved;
};

static_assert(sizeof(PoolHeader) == 4096 && offsetof(PoolHeader, page_count) == 12);
static_assert(sizeof(PageState) == 8 && offsetof(PageState, generation) == 4 &&
              offsetof(PageState, phase) == 6);
static_assert(sizeof(PageRecord) == 64 && offsetof(PageRecord, state) == 0);
static_assert(sizeof(PageDescriptor) == 16 && offsetof(PageDescriptor, page_count) == 4 &&
              offsetof(PageDescriptor, length) == 8 && offsetof(PageDescriptor, generation) == 12);

}  // namespace exo::fusion
