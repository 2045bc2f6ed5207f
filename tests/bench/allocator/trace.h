// Allocations that a real program made, in its order, replayed (tests/traces says how they are recorded).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/bench/allocator/workloads.h"
#include "tests/traces/allocation_trace.h"

namespace exo::bench {

inline constexpr char compiler_trace[] = "compiler";
inline constexpr char python_trace[] = "python";
inline constexpr char sqlite_trace[] = "sqlite";

/// What is left at the end is freed, too. An operation is an allocation with its free.
template <class Heap, const char* name>
Run run_trace(Stage& stage) {
    struct Context {
        traces::AllocationTrace trace = traces::AllocationTrace::read(name);
        std::vector<Live> live = std::vector<Live>(trace.slots);
        bool intact = true;

        void free(Live& piece) {
            intact &= piece.size < sizeof(std::uint64_t) || marked(piece.memory) == piece.size;
            Heap::release(piece.memory, piece.size, 0);
            piece = {};
        }
        void replay() {
            for (const traces::AllocationTrace::Event& event : trace.events) {
                Live& piece = live[event.slot];
                if (event.is_free()) {
                    free(piece);
                    continue;
                }
                piece = {Heap::allocate(event.size), event.size};
                if (piece.size >= sizeof(std::uint64_t)) mark(piece.memory, piece.size);
            }
            for (Live& piece : live)
                if (piece.memory != nullptr) free(piece);
        }
    };
    static Context context;
    const std::uint64_t ticks =
        stage.run([](void* pointer) { static_cast<Context*>(pointer)->replay(); }, &context);
    return {ticks, context.trace.allocations, context.intact};
}

}  // namespace exo::bench
