#include "guest/arch/x86_64/cpus.h"
#include "guest/arch/arch.h"
#include "guest/arch/x86_64/address_space.h"

namespace exo::guest::arch {
namespace {
constinit CpuLocal boot_cpu{.self = &boot_cpu};
constinit InterruptExitHook exit_hook = nullptr;
}  // namespace

unsigned cpu_count() {
    return 1;
}
unsigned current_cpu() {
    return 0;
}
CpuLocal& cpu_local() {
    return boot_cpu;
}
CpuLocal& cpu_local(unsigned) {
    return boot_cpu;
}
Thread* current_thread() {
    return boot_cpu.current_thread;
}
void* current_heap_cache() {
    return boot_cpu.heap_cache;
}
void start_other_cpus(void (*)(unsigned)) {}

void interrupt_cpu(unsigned) {}
void set_interrupt_exit_hook(InterruptExitHook hook) {
    exit_hook = hook;
}
void run_interrupt_exit_hook() {
    if (exit_hook != nullptr) exit_hook();
}
void call_on_cpu(unsigned, void (*function)(void* context), void* context) {
    const InterruptGuard guard;
    function(context);
}
void flush_tlb_everywhere(AddressRange) {}

}  // namespace exo::guest::arch
