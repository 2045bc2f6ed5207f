#pragma once

#include <cstdint>

#include "guest/arch/arch.h"

namespace exo::guest {

/// Visits the return addresses of the callers, innermost first, along the chain of frame pointers that starts
/// at `frame`: each frame holds the caller's frame pointer, then the return address. It stops at the end of
/// the chain, at memory that is not readable, at a chain that does not lead up the stack, and after
/// `max_frames`, so a broken chain does no harm.
template <typename Visit>
void walk_frames(std::uintptr_t frame, Visit&& visit) {
    constexpr int max_frames = 10'000;
    constexpr std::uintptr_t word = sizeof(std::uintptr_t);
    for (int i = 0; i < max_frames; ++i) {
        if (frame == 0 || frame % word != 0 || !arch::is_readable(frame) || !arch::is_readable(frame + word))
            return;
        const auto* const words = reinterpret_cast<const std::uintptr_t*>(frame);
        const std::uintptr_t next = words[0];
        if (words[1] == 0) return;
        visit(words[1]);
        if (next <= frame) return;
        frame = next;
    }
}

}  // namespace exo::guest
