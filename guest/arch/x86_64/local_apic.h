#pragma once

#include <cstdint>

#include "guest/kernel/error.h"

/// The local APIC of this processor (Intel SDM volume 3, chapter 11): in x2APIC mode where the processor has
/// it, because registers by MSR are cheaper under a hypervisor than by memory.
namespace exo::guest::arch {

namespace vector {
inline constexpr std::uint8_t first_device = 0x30, last_device = 0xef;
inline constexpr std::uint8_t timer = 0xf0, apic_error = 0xfe, spurious = 0xff;
}  // namespace vector

/// Turns it on and masks the 8259 controllers and all local sources.
Result<void> start_local_apic();
bool local_apic_is_x2apic();
std::uint32_t local_apic_id();
void end_of_interrupt();

/// Runs the timer freely, so that its frequency can be measured by `timer_count`, which counts up.
void run_timer_freely();
std::uint32_t timer_count();

/// How timeouts are set from now on: by the TSC deadline where the processor has that, else by a countdown of
/// the given ticks a second.
void use_timer(std::uint64_t frequency);
bool timer_is_tsc_deadline();
/// One interrupt on `vector::timer` at about that time stamp, or earlier when the countdown cannot go so far.
void arm_timer(std::uint64_t tsc);

}  // namespace exo::guest::arch
