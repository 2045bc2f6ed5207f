#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "guest/kernel/error.h"
#include "shared/fusion/pool.h"

namespace exo::guest {

/// Memory aligned to pages.
struct PageMemory {
    struct Delete {
        void operator()(std::byte* bytes) const {
            ::operator delete[](bytes, std::align_val_t{fusion::pool_page_size});
        }
    };
    using Pointer = std::unique_ptr<std::byte[], Delete>;

    /// nullptr when there is none.
    static Pointer allocate(std::size_t size) {
        return Pointer(new (std::align_val_t{fusion::pool_page_size}, std::nothrow) std::byte[size]);
    }
};

/// Ownership of a run of pool pages: 4 KiB pages that go from thread to thread without a copy. Its end gives
/// them back to the pool.
using PageBuffer = fusion::PoolBuffer<>;

/// The memory of a pool. It outlives all views, buffers and channels made with it.
class PagePool {
  public:
    using View = fusion::SharedMemoryPool<>;

    static Result<PagePool> create(std::uint32_t pages) {
        PageMemory::Pointer memory = PageMemory::allocate(fusion::pool_bytes(pages));
        if (memory == nullptr) return out_of_memory("page pool");
        const auto view = View::format({memory.get(), fusion::pool_bytes(pages)}, pages);
        if (!view) return fail("page pool", fusion::describe(view.error()));
        return PagePool(std::move(memory), *view);
    }

    /// Allocates and accepts. Each thread uses one of its own; a kept one finds free pages faster.
    View view() const { return view_; }

    /// A moment old.
    std::uint32_t free_pages() const { return view_.free_pages(); }
    std::uint32_t page_count() const { return view_.page_count(); }

    bool owns(const PageBuffer& buffer) const {
        const std::byte* const begin = memory_.get();
        const std::byte* const bytes = buffer.bytes().data();
        return bytes >= begin && bytes < begin + fusion::pool_bytes(page_count());
    }

  private:
    PagePool(PageMemory::Pointer memory, const View& view) : memory_(std::move(memory)), view_(view) {}

    PageMemory::Pointer memory_;
    View view_;
};

}  // namespace exo::guest
