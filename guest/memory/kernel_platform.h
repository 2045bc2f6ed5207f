// What the allocator needs of the machine that the kernel runs on.
#pragma once

#include "guest/arch/arch.h"
#include "shared/fusion/native_atomics.h"

namespace exo::guest {

/// Spins with interrupts off, so that the holder is never interrupted by who waits for it.
class InterruptSafeLock {
  public:
    void lock() {
        const bool enabled = arch::interrupts_enabled();
        arch::disable_interrupts();
        while (__atomic_exchange_n(&taken_, true, __ATOMIC_ACQUIRE)) arch::pause();
        interrupts_were_enabled_ = enabled;
    }
    void unlock() {
        const bool enable = interrupts_were_enabled_;
        __atomic_store_n(&taken_, false, __ATOMIC_RELEASE);
        if (enable) arch::enable_interrupts();
    }

  private:
    bool taken_ = false;
    bool interrupts_were_enabled_ = false;
};

struct KernelPlatform {
    using Lock = InterruptSafeLock;
    using Atomics = fusion::NativeAtomics;
    static unsigned current_cpu() { return arch::current_cpu(); }
};

}  // namespace exo::guest
