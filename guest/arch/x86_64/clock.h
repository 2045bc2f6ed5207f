#pragma once

#include <cstdint>
#include <string_view>

#include "guest/drivers/acpi/fadt.h"
#include "guest/drivers/time_source.h"
#include "guest/kernel/error.h"

namespace exo::guest::arch {

/// What the clock is made of, for the boot banner.
struct ClockDescription {
    std::uint64_t tsc_frequency = 0;
    std::string_view calibrated_by = {};
    bool invariant = false;  ///< the TSC's rate never changes, as the processor says
};

/// Finds out how fast the TSC and the local APIC's timer run, and starts the clock; it reads 0 at `zero_tsc`.
/// `fadt` may be null. The local APIC is on.
Result<void> start_clock(const acpi::Fadt* fadt, std::uint64_t zero_tsc);

const ClockDescription& clock_description();
std::uint64_t now_ns();
TimeSource& system_clock();

void handle_timer_interrupt();

}  // namespace exo::guest::arch
