#pragma once

#include <cstdint>

#include "guest/kernel/error.h"

/// The local APIC of this processor (Intel SDM volume 3, chapter 11): in x2APIC mode where the processor has
/// it, because registers by MSR are cheaper under a hypervisor than by memory.
namespace exo::guest::arch {

namespace vector {
inline constexpr std::uint8_t first_device = 0x30, last_device = 0xef;
inline constexpr std::uint8_t timer = 0xf0, reschedule = 0xf1, call = 0xf2, apic_error = 0xfe,
                              spurious = 0xff;
}  // namespace vector

/// Finds it, masks the 8259 controllers, and turns it on as `enable_local_apic` does. On the first processor,
/// once.
Result<void> start_local_apic();
/// Turns this processor's on, in the mode that the first one has, and masks all local sources.
void enable_local_apic();
bool local_apic_is_x2apic();
/// Under KVM most interrupts end without an exit: it says so in memory.
bool local_apic_saves_ends_of_interrupt();
std::uint32_t local_apic_id();
void end_of_interrupt();

/// Interrupts the processor with that id on a vector. From any context.
void send_interrupt(std::uint32_t apic_id, std::uint8_t vector);
/// A non-maskable interrupt to every processor but this one.
void send_nmi_to_others();
/// Puts a processor into its start state, where it waits for the start-up message (volume 3, 9.4).
void send_init(std::uint32_t apic_id);
/// Has it run from `page`, below 1 MiB, in real mode.
void send_start_up(std::uint32_t apic_id, std::uint64_t page);

/// Runs the timer freely, so that its frequency can be measured by `timer_count`, which counts up.
void run_timer_freely();
std::uint32_t timer_count();

/// How timeouts are set from now on: by the TSC deadline where the processor has that, else by a countdown of
/// the given ticks a second.
void use_timer(std::uint64_t frequency);
/// The same on another processor than the one that called `use_timer`.
void use_timer_here();
bool timer_is_tsc_deadline();
/// One interrupt on `vector::timer` at about that time stamp, or earlier when the countdown cannot go so far.
void arm_timer(std::uint64_t tsc);

}  // namespace exo::guest::arch
