// Where a pool lies in this address space, and the steps that move its pages from hand to hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "shared/fusion/error.h"
#include "shared/fusion/native_atomics.h"
#include "shared/fusion/pool_header.h"
#include "shared/fusion/ring_header.h"

namespace exo::fusion {

constexpr std::size_t pool_pages_offset(std::uint32_t pages) {
    const std::size_t records = std::size_t{pages} * sizeof(PageRecord);
    return sizeof(PoolHeader) + (records + pool_page_size - 1) / pool_page_size * pool_page_size;
}
/// Bytes of memory that a pool of `pages` pages needs.
constexpr std::size_t pool_bytes(std::uint32_t pages) {
    return pool_pages_offset(pages) + std::size_t{pages} * pool_page_size;
}

/// A view, cheap to copy. Page numbers given to it are below page_count(): callers check what comes from
/// outside.
template <class Atomics = NativeAtomics>
class PoolPlacement {
  public:
    static std::expected<PoolPlacement, PoolError> format(std::span<std::byte> memory, std::uint32_t pages) {
        if (auto error = check_memory(memory, pages); !error) return std::unexpected(error.error());
        const PoolPlacement pool(memory.data(), pages);
        for (std::uint32_t page = 0; page < pages; ++page) pool.store(page, PageState{});
        auto& header = *reinterpret_cast<PoolHeader*>(memory.data());
        Atomics::store_relaxed(header.page_count, pages);
        Atomics::store_relaxed(header.version, abi_version);
        Atomics::store_release(header.magic, pool_magic);  // last: whoever sees it sees a whole pool
        return pool;
    }

    static std::expected<PoolPlacement, PoolError> attach(std::span<std::byte> memory) {
        if (auto error = check_memory(memory, 1); !error) return std::unexpected(error.error());
        const auto& header = *reinterpret_cast<const PoolHeader*>(memory.data());
        if (Atomics::load_acquire(header.magic) != pool_magic) return std::unexpected(PoolError::bad_magic);
        if (Atomics::load_acquire(header.version) != abi_version)
            return std::unexpected(PoolError::wrong_version);
        const std::uint32_t pages = Atomics::load_acquire(header.page_count);
        if (auto error = check_memory(memory, pages); !error) return std::unexpected(error.error());
        return PoolPlacement(memory.data(), pages);
    }

    std::uint32_t page_count() const { return page_count_; }
    std::byte* page(std::uint32_t page) const {
        return base_ + pool_pages_offset(page_count_) + std::size_t{page} * pool_page_size;
    }

    bool is_free(std::uint32_t page) const { return load(page).phase == PagePhase::free; }

    /// Takes a free page as part of a run. False if somebody has it.
    bool claim(std::uint32_t page) const {
        const PageState found = load(page);
        if (found.phase != PagePhase::free) return false;
        std::uint64_t expected = found.to_word();
        const auto generation = static_cast<std::uint16_t>(found.generation + 1);
        return Atomics::compare_exchange(state(page), expected,
                                         PageState{0, generation, PagePhase::body, 0}.to_word());
    }

    /// Makes a run of claimed pages; returns its generation, which its descriptor has to carry.
    std::uint16_t hold(std::uint32_t first, std::uint32_t pages) const {
        const std::uint16_t generation = load(first).generation;
        store(first, PageState{pages, generation, PagePhase::held, 0});
        return generation;
    }

    bool contains(const PageDescriptor& run) const {
        return run.first_page < page_count_ && run.page_count != 0 &&
               run.page_count <= page_count_ - run.first_page && run.length != 0 &&
               run.length <= std::size_t{run.page_count} * pool_page_size;
    }

    /// The receiver takes a run that is on its way to it. False if there is no such run.
    bool accept(const PageDescriptor& run) const {
        std::uint64_t expected = PageState{run.page_count, run.generation, PagePhase::held, 0}.to_word();
        const PageState accepted{run.page_count, run.generation, PagePhase::accepted, 0};
        return Atomics::compare_exchange(state(run.first_page), expected, accepted.to_word());
    }

    void free(const PageDescriptor& run) const { free_from(run.first_page, run.page_count); }

    /// Gives pages back, the first one last: until then nobody takes the run to be free.
    void free_from(std::uint32_t first, std::uint32_t pages) const {
        for (std::uint32_t page = first + pages; page-- > first;)
            store(page, PageState{0, load(page).generation, PagePhase::free, 0});
    }

  private:
    PoolPlacement(std::byte* base, std::uint32_t pages) : base_(base), page_count_(pages) {}

    static std::expected<void, PoolError> check_memory(std::span<std::byte> memory, std::uint32_t pages) {
        if (pages == 0 || pages > max_pool_pages) return std::unexpected(PoolError::bad_page_count);
        if (reinterpret_cast<std::uintptr_t>(memory.data()) % alignof(PoolHeader) != 0)
            return std::unexpected(PoolError::misaligned);
        if (memory.size() < pool_bytes(pages)) return std::unexpected(PoolError::too_small);
        return {};
    }

    std::uint64_t& state(std::uint32_t page) const {
        return reinterpret_cast<PageRecord*>(base_ + sizeof(PoolHeader))[page].state;
    }
    PageState load(std::uint32_t page) const {
        return PageState::from_word(Atomics::load_acquire(state(page)));
    }
    void store(std::uint32_t page, PageState value) const {
        Atomics::store_release(state(page), value.to_word());
    }

    std::byte* base_;
    std::uint32_t page_count_;
};

}  // namespace exo::fusion
