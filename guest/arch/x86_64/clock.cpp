#include "guest/arch/x86_64/clock.h"

#include <algorithm>
#include <optional>

#include "guest/arch/arch.h"
#include "guest/arch/x86_64/address_space.h"
#include "guest/arch/x86_64/cpu.h"
#include "guest/arch/x86_64/local_apic.h"
#include "guest/arch/x86_64/memory_registers.h"
#include "guest/arch/x86_64/port_registers.h"
#include "guest/arch/x86_64/processor.h"
#include "guest/drivers/clock/calibration.h"

namespace exo::guest::arch {
namespace {

class TscClock final : public TimeSource {
  public:
    std::uint64_t now_ns() const override { return arch::now_ns(); }
    void relax() override { pause(); }
    std::uint64_t timestamp() const override { return arch::timestamp(); }
    std::uint64_t timestamp_frequency() const override { return arch::timestamp_frequency(); }
};

constinit TscClock clock;
constinit ClockDescription description;
constinit TickScale scale;
constinit std::uint64_t zero = 0;

constexpr std::uint32_t first_hypervisor_leaf = 0x4000'0000;
constexpr std::uint32_t timing_leaf = 0x4000'0010;
constexpr std::uint64_t max_frequency = 10'000'000'000;

struct Known {
    std::uint64_t frequency;
    std::string_view source;
};

/// A frequency that the processor or the hypervisor states, if it is one that a processor may have.
std::optional<Known> stated_frequency() {
    const auto plausible = [](std::uint64_t frequency) {
        return frequency >= 100'000'000 && frequency <= max_frequency;
    };
    const bool virtualised = (cpuid(1).ecx & 1u << 31) != 0;
    if (virtualised && cpuid(first_hypervisor_leaf).eax >= timing_leaf) {
        const std::uint64_t frequency = std::uint64_t{cpuid(timing_leaf).eax} * 1'000;
        if (plausible(frequency)) return Known{frequency, "CPUID 0x40000010"};
    }
    if (cpuid(0).eax >= 0x15) {
        const CpuidResult ratio = cpuid(0x15);
        const std::uint64_t frequency = ratio.eax == 0 ? 0 : std::uint64_t{ratio.ecx} * ratio.ebx / ratio.eax;
        if (plausible(frequency)) return Known{frequency, "CPUID 0x15"};
    }
    return std::nullopt;
}

struct Measured {
    MeasuredFrequencies frequencies;
    std::string_view source;
};

std::optional<Measured> measure_against(ReferenceCounter& reference, std::string_view source) {
    run_timer_freely();
    const auto frequencies = measure_frequencies(reference, {.timestamp = rdtsc, .other = timer_count});
    // A counter that is not there, or stands still for the time of a window, gives nonsense.
    if (!frequencies || frequencies->timestamp < 1'000'000 || frequencies->timestamp > max_frequency)
        return std::nullopt;
    return Measured{*frequencies, source};
}

std::optional<Measured> measure_by_pm_timer(const acpi::GenericAddress& timer) {
    if (timer.space == acpi::GenericAddress::Space::io) {
        PortRegisters registers(static_cast<std::uint16_t>(timer.address), 4);
        PmTimer reference(registers);
        return measure_against(reference, "the ACPI PM timer");
    }
    const auto mapped = map_device(timer.address, 4);
    if (timer.space != acpi::GenericAddress::Space::memory || !mapped) return std::nullopt;
    MemoryRegisters registers(*mapped, 4);
    PmTimer reference(registers);
    return measure_against(reference, "the ACPI PM timer");
}

std::optional<Measured> measure(const acpi::Fadt* fadt) {
    if (fadt != nullptr && fadt->pm_timer) {
        if (const auto measured = measure_by_pm_timer(*fadt->pm_timer)) return measured;
    }
    PitCounter reference(all_ports());
    return measure_against(reference, "the 8254 timer");
}

std::uint64_t tsc_at(std::uint64_t time_ns) {
    std::uint64_t tsc = 0;
    return __builtin_add_overflow(zero, ticks_in(time_ns, description.tsc_frequency), &tsc)
               ? ~std::uint64_t{0}
               : tsc;
}

/// Has this processor's timer interrupt at that time, or earlier. False when that time has come already.
bool arm_by(Processor& processor, std::uint64_t deadline_ns) {
    const std::uint64_t deadline = tsc_at(deadline_ns);
    const std::uint64_t now = rdtsc();
    // A timer that is set for an earlier time wakes early, and the waiter looks at the clock again.
    if (processor.armed_for == 0 || processor.armed_for > deadline || processor.armed_for <= now) {
        processor.armed_for = deadline;
        arm_timer(deadline);
    }
    return deadline > now;
}

}  // namespace

Result<void> start_clock(const acpi::Fadt* fadt, std::uint64_t zero_tsc) {
    zero = zero_tsc;
    description.invariant = cpuid(0x8000'0000).eax >= 0x8000'0007 && (cpuid(0x8000'0007).edx & 1u << 8) != 0;
    const auto stated = stated_frequency();
    std::uint64_t timer_frequency = 0;
    if (stated) {
        description.tsc_frequency = stated->frequency;
        description.calibrated_by = stated->source;
    }
    if (!stated || !timer_is_tsc_deadline()) {
        const auto measured = measure(fadt);
        if (!measured)
            return fail("clock", "no timer runs that the TSC could be measured against",
                        "give the machine an ACPI PM timer or an 8254 timer");
        timer_frequency = measured->frequencies.other;
        if (!stated) {
            description.tsc_frequency = measured->frequencies.timestamp;
            description.calibrated_by = measured->source;
        }
    }
    scale = TickScale(description.tsc_frequency);
    use_timer(timer_frequency);
    return {};
}

const ClockDescription& clock_description() {
    return description;
}
std::uint64_t now_ns() {
    return scale.to_ns(rdtsc() - zero);
}
TimeSource& system_clock() {
    return clock;
}

std::uint64_t timestamp_frequency() {
    return description.tsc_frequency;
}

void handle_timer_interrupt() {
    Processor& processor = this_processor();
    processor.armed_for = 0;
    if (processor.timer_deadline == 0) return;
    if (now_ns() >= processor.timer_deadline - 1)
        processor.timer_deadline = 0;
    else
        arm_by(processor, processor.timer_deadline - 1);
}

void set_timer(std::uint64_t deadline_ns) {
    Processor& processor = this_processor();
    processor.timer_deadline = deadline_ns == no_deadline ? 0 : deadline_ns + 1;
    if (deadline_ns != no_deadline) arm_by(processor, deadline_ns);
}

void wait_for_interrupt(std::uint64_t deadline_ns) {
    Processor& processor = this_processor();
    if (deadline_ns != no_deadline && !arm_by(processor, deadline_ns)) {
        // Interrupts get their chance all the same: after sti the next instruction still runs without them.
        asm volatile("sti; nop; cli" : : : "memory");
        return;
    }
    // The interrupt that ends the sleep takes the time (see exo_handle_interrupt).
    processor.idle_since = rdtsc();
    asm volatile("sti; hlt; cli" : : : "memory");
}

}  // namespace exo::guest::arch
