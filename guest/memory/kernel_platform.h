// What the allocator needs of the machine that the kernel runs on.
#pragma once

#include "guest/arch/spin_lock.h"
#include "shared/fusion/native_atomics.h"

namespace exo::guest {

struct KernelPlatform {
    using Lock = SpinLock;
    using Atomics = fusion::NativeAtomics;
    static unsigned current_cpu() { return arch::current_cpu(); }
};

}  // namespace exo::guest
