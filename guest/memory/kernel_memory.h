#pragma once

#include <cstddef>
#include <type_traits>

#include "guest/memory/frame_allocator.h"
#include "guest/memory/growing_heap.h"
#include "guest/memory/hybrid_heap.h"

// The build says which heap (CMake options EXO_HYBRID_ALLOCATOR and EXO_HEAP_CHECKS).
#ifndef EXO_HYBRID_ALLOCATOR
#define EXO_HYBRID_ALLOCATOR 1
#endif
#ifndef EXO_HEAP_CHECKS
#define EXO_HEAP_CHECKS 0
#endif

namespace exo::guest {

using KernelHeap =
    std::conditional_t<EXO_HYBRID_ALLOCATOR != 0, HybridHeap<EXO_HEAP_CHECKS != 0>, GrowingHeap>;

/// The memory of the machine. `operator new` takes from its heap, devices' memory comes from its frames.
class KernelMemory {
  public:
    constexpr KernelMemory() = default;

    FrameAllocator frames;
    KernelHeap heap{frames, report_fault};

  private:
    /// Ends the kernel: what the heap's lists are worth from here on, nobody knows.
    static void report_fault(const HeapFault& fault);
};

KernelMemory& kernel_memory();

}  // namespace exo::guest
