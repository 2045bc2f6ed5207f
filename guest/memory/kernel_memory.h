#pragma once

#include <cstddef>

#include "guest/memory/first_fit_heap.h"
#include "guest/memory/frame_allocator.h"

namespace exo::guest {

/// A first-fit heap that takes frames when it runs out. They are used through the direct map.
class GrowingHeap {
  public:
    /// Taken at once when that much contiguous memory is free, so that the heap consists of few regions.
    static constexpr std::size_t growth = std::size_t{256} << 10;

    constexpr explicit GrowingHeap(FrameAllocator& frames) : frames_(frames) {}

    /// nullptr when the machine's memory is exhausted.
    void* allocate(std::size_t size, std::size_t alignment);
    FirstFitHeap::FreeResult free(void* pointer, std::size_t size = 0) { return heap_.free(pointer, size); }
    const FirstFitHeap& heap() const { return heap_; }

  private:
    bool grow(std::size_t size);

    FrameAllocator& frames_;
    FirstFitHeap heap_;
};

/// The memory of the machine. `operator new` takes from its heap, devices' memory comes from its frames.
struct KernelMemory {
    FrameAllocator frames;
    GrowingHeap heap{frames};
};

KernelMemory& kernel_memory();

}  // namespace exo::guest
