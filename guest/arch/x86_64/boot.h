#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/drivers/acpi/fadt.h"
#include "guest/drivers/acpi/madt.h"
#include "guest/drivers/acpi/tables.h"
#include "guest/drivers/serial/serial_console.h"
#include "guest/kernel/error.h"
#include "shared/boot/boot_info.h"
#include "shared/platform/platform.h"

/// The steps by which the kernel takes the machine over, in the order in which `main` takes them.
namespace exo::guest::arch {

/// Output from the first moment, polled; and the means to end the machine.
void start_console(SerialConsole& console);
bool on_exo_vmm();
/// What the machine is, as its host bridge's subsystem ids tell: "Exo VMM", "QEMU", or else "PC".
std::string_view platform_name();
/// Tells our VMM how far the start-up is; elsewhere nothing.
void mark_phase(platform::BootPhase phase);

/// Takes memory over from the loader: frames, the kernel's own page tables, the heap, guarded stacks for the
/// exceptions that need one. On the way it reads ACPI's tables and finds the processors, of which at most
/// `cpu_limit` will be used. The top of the main stack.
Result<std::uintptr_t> take_memory(const boot::BootInfo& info, unsigned cpu_limit);

/// Goes on in `next` on another stack.
[[noreturn]] void continue_on_stack(std::uintptr_t top, void (*next)());

/// Calls the constructors of static objects. The heap works.
void run_static_constructors();

/// What the firmware told by ACPI; everything empty where there is none.
struct AcpiFindings {
    std::string_view reason = {};  ///< why there is none
    std::optional<acpi::Tables> tables = {};
    std::optional<acpi::Fadt> fadt = {};
    std::optional<acpi::Madt> madt = {};
    bool can_switch_off = false;
};

/// As `take_memory` found it.
const AcpiFindings& acpi_findings();

/// Interrupts and clock; afterwards the console is interrupt-driven and interrupts are on. Time counts from
/// `zero_tsc`.
Result<void> start_interrupts_and_clock(SerialConsole& console, std::uint64_t zero_tsc);

}  // namespace exo::guest::arch
