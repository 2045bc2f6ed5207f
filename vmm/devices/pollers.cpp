#include "vmm/devices/pollers.h"

#include <sched.h>

#include <algorithm>
#include <thread>

namespace exo::vmm {

unsigned usable_cpus() {
    cpu_set_t set;
    // It fails on hosts with more CPUs than the set holds, where they are not what is short.
    if (::sched_getaffinity(0, sizeof(set), &set) == 0)
        return static_cast<unsigned>(std::max(CPU_COUNT(&set), 1));
    return std::max(std::thread::hardware_concurrency(), 1u);
}

}  // namespace exo::vmm
