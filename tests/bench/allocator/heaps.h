// The allocators that stand side by side. All are called through pointers of the same two types, so that a
// call costs the same for each; who takes no size ignores it.
#pragma once

#include <dlfcn.h>

#include <cstddef>
#include <cstdlib>

#include "guest/arch/spin_lock.h"
#include "guest/memory/first_fit_heap.h"
#include "tests/unit/memory/hosted_heap.h"

namespace exo::bench {

using Allocate = void* (*)(std::size_t size);
using Release = void (*)(void* pointer, std::size_t size, int flags);

/// One heap for the whole process. A thread's cache and CPU number are its own from its first allocation on.
class HybridHeap {
  public:
    static constexpr unsigned cpus = 4;

    /// What an application links against: calls, with the thread's cache looked up in each.
    [[gnu::noinline]] static void* allocate(std::size_t size) { return allocate_inlined(size); }
    [[gnu::noinline]] static void release(void* pointer, std::size_t size, int) {
        release_inlined(pointer, size);
    }
    [[gnu::noinline]] static void release_unsized(void* pointer, std::size_t, int) {
        Cache& own = *cache();
        heap_->deallocate(own, pointer);
    }

    [[gnu::always_inline]] static void* allocate_inlined(std::size_t size) {
        Cache& own = *cache();  // which makes the heap, the first time
        return heap_->allocate(own, size);
    }
    [[gnu::always_inline]] static void release_inlined(void* pointer, std::size_t size) {
        Cache& own = *cache();
        heap_->deallocate(own, pointer, size);
    }
    /// Before the first allocation there are none.
    static guest::HeapStatistics statistics() {
        return heap_ != nullptr ? heap_->statistics() : guest::HeapStatistics{};
    }

  private:
    using Cache = guest::HostedAllocator::Cache;

    [[gnu::always_inline]] static Cache* cache() {
        if (cache_ == nullptr) [[unlikely]]
            start_thread();
        return cache_;
    }
    [[gnu::noinline]] static void start_thread() {
        static guest::HostedHeap heap(0, cpus, 1U << 20);
        static unsigned threads = 0;
        heap_ = &*heap;
        guest::HostedPlatform::cpu = __atomic_fetch_add(&threads, 1U, __ATOMIC_RELAXED) % cpus;
        struct Owner {
            Cache cache{*heap_};
            ~Owner() { cache_ = nullptr; }
        };
        static thread_local Owner owner;
        cache_ = &owner.cache;
    }

    static inline guest::HostedAllocator* heap_ = nullptr;
    static inline thread_local constinit Cache* cache_ = nullptr;
};

/// The classic list, with a lock as any heap of more than one thread needs.
class FirstFit {
  public:
    [[gnu::noinline]] static void* allocate(std::size_t size) {
        const guest::Locked guard(state().lock);
        return state().heap.allocate(size, 8);
    }
    [[gnu::noinline]] static void release(void* pointer, std::size_t size, int) {
        const guest::Locked guard(state().lock);
        state().heap.free(pointer, size);
    }

  private:
    struct State {
        static constexpr std::size_t bytes = std::size_t{256} << 20;
        State() { heap.add_region({memory.data(), bytes}); }
        guest::Mapping memory{bytes};
        guest::FirstFitHeap heap;
        guest::HostedLock lock;
    };
    static State& state() {
        static State only;
        return only;
    }
};

struct Hybrid {
    static constexpr const char* name = "hybrid";
    static inline const Allocate allocate = HybridHeap::allocate;
    static inline const Release release = HybridHeap::release;
};
struct HybridUnsized {
    static constexpr const char* name = "hybrid, unsized free";
    static inline const Allocate allocate = HybridHeap::allocate;
    static inline const Release release = HybridHeap::release_unsized;
};
struct HybridInlined {
    static constexpr const char* name = "hybrid, inlined";
    [[gnu::always_inline]] static void* allocate(std::size_t size) {
        return HybridHeap::allocate_inlined(size);
    }
    [[gnu::always_inline]] static void release(void* pointer, std::size_t size, int) {
        HybridHeap::release_inlined(pointer, size);
    }
};
struct Classic {
    static constexpr const char* name = "first fit";
    static inline const Allocate allocate = FirstFit::allocate;
    static inline const Release release = FirstFit::release;
};

/// A function of a library that the program is linked with behind the C library, so that it is loaded and yet
/// nobody's malloc.
template <class Function>
Function function_of(const char* library, const char* name) {
    void* const handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
    void* const found = handle != nullptr ? dlsym(handle, name) : nullptr;
    if (found == nullptr) std::abort();
    return reinterpret_cast<Function>(found);
}

struct Mimalloc {
    static constexpr const char* name = "mimalloc";
    static inline const auto allocate = function_of<Allocate>("libmimalloc.so.2", "mi_malloc");
    static inline const auto release = function_of<Release>("libmimalloc.so.2", "mi_free_size");
};
struct Jemalloc {
    static constexpr const char* name = "jemalloc";
    static inline const auto allocate = function_of<Allocate>("libjemalloc.so.2", "malloc");
    static inline const auto release = function_of<Release>("libjemalloc.so.2", "sdallocx");
};
struct Tcmalloc {
    static constexpr const char* name = "tcmalloc";
    static inline const auto allocate = function_of<Allocate>("libtcmalloc_minimal.so.4", "tc_malloc");
    static inline const auto release = function_of<Release>("libtcmalloc_minimal.so.4", "tc_free_sized");
};
struct Glibc {
    static constexpr const char* name = "glibc";
    static inline const auto allocate = function_of<Allocate>("libc.so.6", "malloc");
    static inline const auto release = function_of<Release>("libc.so.6", "free");
};

}  // namespace exo::bench
