#pragma once

#include "guest/arch/arch.h"

/// The facade's per-processor block, found by GS (see arch.h, which includes this). Each is one instruction
/// on memory, so an interrupt that moves the thread comes before or after it; volatile, so that what was read
/// before a context switch is not used after it.
namespace exo::guest::arch {

inline CpuLocal& cpu_local() {
    CpuLocal* self;
    asm volatile("movq %%gs:%c1, %0" : "=r"(self) : "i"(offsetof(CpuLocal, self)));
    return *self;
}

inline unsigned current_cpu() {
    unsigned number;
    asm volatile("movl %%gs:%c1, %0" : "=r"(number) : "i"(offsetof(CpuLocal, number)));
    return number;
}

inline Thread* current_thread() {
    Thread* thread;
    asm volatile("movq %%gs:%c1, %0" : "=r"(thread) : "i"(offsetof(CpuLocal, current_thread)));
    return thread;
}

inline void* current_heap_cache() {
    void* cache;
    asm volatile("movq %%gs:%c1, %0" : "=r"(cache) : "i"(offsetof(CpuLocal, heap_cache)));
    return cache;
}

}  // namespace exo::guest::arch
