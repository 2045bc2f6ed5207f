// The hybrid allocator over memory of this process: a CPU is what a thread says it is.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <thread>

#include "guest/memory/hybrid_allocator.h"
#include "shared/fusion/native_atomics.h"
#include "shared/platform/thread_safety.h"

namespace exo::guest {

class EXO_THREAD_SAFETY(capability("lock")) HostedLock {
  public:
    void lock() EXO_THREAD_SAFETY(acquire_capability()) {
        for (int tries = 0; __atomic_exchange_n(&taken_, true, __ATOMIC_ACQUIRE); ++tries)
            if (tries > 100) std::this_thread::yield();
    }
    void unlock() EXO_THREAD_SAFETY(release_capability()) {
        __atomic_store_n(&taken_, false, __ATOMIC_RELEASE);
    }

  private:
    bool taken_ = false;
};

struct HostedPlatform {
    using Lock = HostedLock;
    using Atomics = fusion::NativeAtomics;
    static unsigned current_cpu() { return cpu; }
    static inline thread_local unsigned cpu = 0;
};

using HostedAllocator = HybridAllocator<HostedPlatform>;

/// Zeroed memory that costs nothing until it is touched.
class Mapping {
  public:
    explicit Mapping(std::size_t size)
        : size_(size),
          data_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                     0)) {
        if (data_ == MAP_FAILED) std::abort();
    }
    ~Mapping() { munmap(data_, size_); }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    std::byte* data() const { return static_cast<std::byte*>(data_); }

  private:
    std::size_t size_;
    void* data_;
};

/// An arena of `limit` pages, of which `pages` are the allocator's from the start; it asks for more in steps.
class HostedHeap : public PageSource {
  public:
    explicit HostedHeap(PageIndex pages, unsigned cpus = 1, PageIndex limit = 0)
        : limit_(std::max(pages, limit)),
          memory_(std::size_t{limit_} * heap_page_size + block_bytes),
          infos_(limit_ * sizeof(PageInfo)),
          state_(HostedAllocator::state_bytes(cpus)),
          allocator_(PageMap(base(), reinterpret_cast<PageInfo*>(infos_.data()), limit_), state_.data(),
                     cpus) {
        if (limit_ > pages) allocator_.set_source(this);
        if (pages > 0) grow_by(pages);
    }

    HostedAllocator& operator*() { return allocator_; }
    HostedAllocator* operator->() { return &allocator_; }
    std::byte* base() const {
        const auto start = reinterpret_cast<std::uintptr_t>(memory_.data());
        return memory_.data() + ((block_bytes - start % block_bytes) % block_bytes);
    }

    bool grow(PageIndex pages) override {
        const Locked guard(growth_lock_);
        const PageIndex step = std::max(pages + BuddyAllocator::largest_block, PageIndex{1024});
        if (step > limit_ - used_) return false;
        grow_by(step);
        return true;
    }

  private:
    static constexpr std::size_t block_bytes = BuddyAllocator::largest_block * heap_page_size;

    void grow_by(PageIndex pages) {
        allocator_.add(used_, pages);
        used_ += pages;
    }

    PageIndex limit_;
    PageIndex used_ = 0;
    HostedLock growth_lock_;
    Mapping memory_;
    Mapping infos_;
    Mapping state_;
    HostedAllocator allocator_;
};

}  // namespace exo::guest
