#pragma once

#include <cstdint>

#include "vmm/base/guest_memory.h"

namespace exo::vmm {

/// The state in which the first vCPU starts a kernel without firmware: interrupts off, flat segments, all
/// registers zero but those named here.
struct CpuStart {
    enum class Mode : std::uint8_t {
        protected_32,  ///< no paging (PVH)
        long_64        ///< on the page tables at `page_tables`, which show `entry` at its own address
    };
    Mode mode = Mode::protected_32;
    GuestAddress entry = {};
    std::uint64_t rbx = 0;
    std::uint64_t rsi = 0;
    GuestAddress page_tables = {};
    /// A descriptor table in guest memory: code at selector 0x10, data at 0x18.
    GuestAddress descriptors = {};
    std::uint16_t descriptors_size = 0;
};

}  // namespace exo::vmm
