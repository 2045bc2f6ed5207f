// How much memory an allocator makes resident for a trace, each time in a process of its own.
#pragma once

#include <cstddef>

#include "tests/bench/frame/case.h"

namespace exo::bench {

/// One allocation and one free function.
struct HeapFunctions {
    void* (*allocate)(std::size_t size);
    void (*release)(void* pointer, std::size_t size, int flags);
};

/// Runs this program again, to replay the trace with the heap of that name and say what became resident. The
/// result counts bytes, in the place of ticks.
Run peak_memory_in_own_process(const char* heap, const char* trace);

/// In such a process: replays, writing every byte, prints the growth of resident memory in bytes, and ends.
[[noreturn]] void measure_peak_memory(const HeapFunctions& heap, const char* trace);

/// Whether this process is the one that measures this heap and trace.
bool is_peak_process(const char* heap, const char* trace);

template <class Heap, const char* trace>
Run run_peak_memory(Stage&) {
    return peak_memory_in_own_process(Heap::name, trace);
}

template <class Heap, const char*... traces>
void measure_if_asked() {
    const auto measure = [](const char* trace) {
        if (!is_peak_process(Heap::name, trace)) return;
        measure_peak_memory(
            {[](std::size_t size) { return Heap::allocate(size); },
             [](void* pointer, std::size_t size, int flags) { Heap::release(pointer, size, flags); }},
            trace);
    };
    (measure(traces), ...);
}

}  // namespace exo::bench
