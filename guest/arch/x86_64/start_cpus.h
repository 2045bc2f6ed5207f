#pragma once

#include <cstdint>

#include "guest/drivers/acpi/madt.h"
#include "guest/kernel/error.h"
#include "shared/boot/boot_info.h"

namespace exo::guest::arch {

/// Makes the processor that booted processor 0: its segments, interrupt table and per-processor block. First
/// of all.
void enter_first_processor();

/// Notes which processors there are: those that the MADT names, or where there is none (null), those that the
/// firmware named to the loader. Not only those that will be started: `limit` is the largest number to use.
void find_cpus(const acpi::Madt* madt, const boot::BootCpus& firmware, unsigned limit);
/// The number that `cpu_count()` may become.
unsigned usable_cpu_count();

/// Takes a page below 1 MiB for start-up code, while there is one, if other processors are to be started.
void reserve_start_page();

/// Stacks for the exceptions that need one, on each processor that may be used.
Result<void> give_exception_stacks(unsigned cpu);

}  // namespace exo::guest::arch
