// A pool of 4 KiB pages in shared memory, which change hands by descriptor: the payload is not copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <utility>

#include "shared/fusion/error.h"
#include "shared/fusion/message.h"
#include "shared/fusion/pool_placement.h"

namespace exo::fusion {

/// Ownership of a run of pages. Its end gives them back to the pool, unless they were handed over.
template <class Atomics = NativeAtomics>
class PoolBuffer {
  public:
    PoolBuffer(const PoolPlacement<Atomics>& pool, const PageDescriptor& run) : pool_(pool), run_(run) {}
    PoolBuffer(PoolBuffer&& other) noexcept : pool_(other.pool_), run_(std::exchange(other.run_, {})) {}
    PoolBuffer& operator=(PoolBuffer&& other) noexcept {
        PoolBuffer old(std::move(*this));
        pool_ = other.pool_;
        run_ = std::exchange(other.run_, {});
        return *this;
    }
    ~PoolBuffer() {
        if (run_.page_count != 0) pool_.free(run_);
    }

    /// The bytes in use. The other side can still write them if it does not keep to the protocol.
    std::span<std::byte> bytes() const { return {pool_.page(run_.first_page), run_.length}; }

    /// What travels in a message, and tells the receiver's accept() which pages it gets.
    const PageDescriptor& descriptor() const { return run_; }

    /// The descriptor was sent: the pages are the receiver's now, and this buffer is empty.
    void hand_over() { run_ = {}; }

  private:
    PoolPlacement<Atomics> pool_;
    PageDescriptor run_;
};

/// A view of a pool that lies in memory of its user. Either side may allocate, and either may return. One
/// thread at a time uses a view; any number of views may be attached to a pool.
template <class Atomics = NativeAtomics>
class SharedMemoryPool {
  public:
    using Buffer = PoolBuffer<Atomics>;

    /// Makes a pool of page-aligned memory of at least pool_bytes(pages) bytes; all pages are free.
    static std::expected<SharedMemoryPool, PoolError> format(std::span<std::byte> memory,
                                                             std::uint32_t pages) {
        return of(PoolPlacement<Atomics>::format(memory, pages));
    }
    /// Takes a pool that the other side has formatted; its header is checked.
    static std::expected<SharedMemoryPool, PoolError> attach(std::span<std::byte> memory) {
        return of(PoolPlacement<Atomics>::attach(memory));
    }

    std::uint32_t page_count() const { return place_.page_count(); }

    /// Pages free at this moment: exact while nobody allocates or returns.
    std::uint32_t free_pages() const {
        std::uint32_t count = 0;
        for (std::uint32_t page = 0; page < page_count(); ++page) count += place_.is_free(page);
        return count;
    }

    /// Takes a run of free pages for `bytes` bytes. The search goes on where the last one ended: pages come
    /// back about in the order in which they were handed out.
    std::expected<Buffer, SendError> allocate(std::size_t bytes) {
        if (bytes == 0 || bytes > std::size_t{page_count()} * pool_page_size)
            return std::unexpected(SendError::too_large);
        const auto pages = static_cast<std::uint32_t>((bytes + pool_page_size - 1) / pool_page_size);
        for (std::uint32_t tried = 0; tried < page_count() + pages;) {
            const std::uint32_t first = pages <= page_count() - cursor_ ? cursor_ : 0;
            tried += first == cursor_ ? 0 : page_count() - cursor_;
            const std::uint32_t claimed = claim_run(first, pages);
            cursor_ = (first + claimed + (claimed < pages)) % page_count();
            if (claimed == pages) return Buffer(place_, describe_run(first, pages, bytes));
            place_.free_from(first, claimed);
            tried += claimed + 1;
        }
        return std::unexpected(SendError::no_pages);
    }

    /// Takes over the pages of a received message. Refuses what is not a run that somebody has allocated and
    /// not yet given away: a range beyond the pool, a stale descriptor, one sent twice.
    std::expected<Buffer, PoolError> accept(const Message& message) {
        const auto run = message.as<PageDescriptor>();
        if (message.kind != Kind::shared_memory || !run) return std::unexpected(PoolError::no_descriptor);
        if (!place_.contains(*run)) return std::unexpected(PoolError::out_of_range);
        if (!place_.accept(*run)) return std::unexpected(PoolError::not_held);
        return Buffer(place_, *run);
    }

  private:
    explicit SharedMemoryPool(const PoolPlacement<Atomics>& place) : place_(place) {}

    static std::expected<SharedMemoryPool, PoolError> of(
        const std::expected<PoolPlacement<Atomics>, PoolError>& place) {
        if (!place) return std::unexpected(place.error());
        return SharedMemoryPool(*place);
    }

    std::uint32_t claim_run(std::uint32_t first, std::uint32_t pages) {
        std::uint32_t claimed = 0;
        while (claimed < pages && place_.claim(first + claimed)) ++claimed;
        return claimed;
    }

    PageDescriptor describe_run(std::uint32_t first, std::uint32_t pages, std::size_t bytes) const {
        return {first, pages, static_cast<std::uint32_t>(bytes), place_.hold(first, pages), 0};
    }

    PoolPlacement<Atomics> place_;
    std::uint32_t cursor_ = 0;
};

/// Sends the buffer's pages; only the descriptor is copied. On failure the buffer keeps them.
template <class Producer, class Atomics>
std::expected<void, SendError> send_zerocopy(Producer& producer, PoolBuffer<Atomics>&& buffer,
                                             std::uint8_t flags = 0) {
    const auto sent = producer.send(buffer.descriptor(), flags, Kind::shared_memory);
    if (sent) buffer.hand_over();
    return sent;
}

/// Allocates, copies `bytes` into the pages and sends them, as one step: on failure nothing is sent and
/// nothing is held.
template <class Producer, class Atomics>
std::expected<void, SendError> send_with_pool(Producer& producer, SharedMemoryPool<Atomics>& pool,
                                              std::span<const std::byte> bytes, std::uint8_t flags = 0) {
    auto buffer = pool.allocate(bytes.size());
    if (!buffer) return std::unexpected(buffer.error());
    __builtin_memcpy(buffer->bytes().data(), bytes.data(), bytes.size());
    return send_zerocopy(producer, std::move(*buffer), flags);
}

}  // namespace exo::fusion
