#include "guest/arch/cpu_report.h"

#include "guest/arch/arch.h"

namespace exo::guest::arch {

CpuReport cpu_report(unsigned cpu) {
    return {.apic_id = cpu, .state = "busy", .timer = "steady clock"};
}

unsigned machine_cpu_count() {
    return cpu_count();
}

}  // namespace exo::guest::arch
