#include "guest/arch/cpu_report.h"

#include "guest/arch/arch.h"
#include "guest/arch/x86_64/clock.h"
#include "guest/arch/x86_64/local_apic.h"
#include "guest/arch/x86_64/processor.h"
#include "guest/drivers/clock/calibration.h"

namespace exo::guest::arch {
namespace {

std::int64_t signed_ns(const TickScale& scale, std::int64_t ticks) {
    const auto ns =
        static_cast<std::int64_t>(scale.to_ns(static_cast<std::uint64_t>(ticks < 0 ? -ticks : ticks)));
    return ticks < 0 ? -ns : ns;
}

}  // namespace

CpuReport cpu_report(unsigned cpu) {
    const Processor& processor = processors[cpu];
    const TickScale scale(timestamp_frequency());
    return {.apic_id = processor.apic_id,
            .state = processor.idle_since != 0 ? "asleep" : "busy",
            .interrupts = processor.interrupts.read(),
            .ipis = processor.ipis.read(),
            .idle_ns = scale.to_ns(processor.idle_ticks.read()),
            .timer = timer_is_tsc_deadline() ? "TSC deadline" : "countdown",
            .tsc_skew_ns = signed_ns(scale, processor.tsc_skew.ticks),
            .tsc_skew_error_ns = scale.to_ns(processor.tsc_skew.uncertainty)};
}

}  // namespace exo::guest::arch
