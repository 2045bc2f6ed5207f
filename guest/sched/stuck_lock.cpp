#include "guest/arch/spin_lock.h"
#include "guest/kernel/panic.h"

namespace exo::guest {

void report_stuck_lock(const void* lock) {
    panic("spin lock {:#x}: not free after a minute of spinning on CPU {}",
          reinterpret_cast<std::uintptr_t>(lock), arch::current_cpu());
}

}  // namespace exo::guest
