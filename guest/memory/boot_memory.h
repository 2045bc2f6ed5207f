#pragma once

#include <cstdint>
#include <span>

#include "guest/memory/frame_allocator.h"
#include "shared/boot/boot_info.h"

namespace exo::guest {

/// Hands the machine's memory to the frame allocator: what the map calls usable is free, what it calls
/// loader is taken until `release_loader_memory`. The allocator's bookkeeping is put into usable memory.
/// Frame 0 is never free, so that no address of a frame is 0. Pieces beyond those that the allocator has room
/// for stay unused.
Result<void> adopt_boot_memory(FrameAllocator& frames, std::span<const boot::MemoryRange> map);

/// Frees what the loader used, except [keep, keep + keep_size): the kernel's image. The number of bytes
/// freed.
std::uint64_t release_loader_memory(FrameAllocator& frames, std::span<const boot::MemoryRange> map,
                                    std::uint64_t keep, std::uint64_t keep_size);

}  // namespace exo::guest
