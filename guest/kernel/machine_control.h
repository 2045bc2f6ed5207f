#pragma once

namespace exo::guest {

/// Prints the trailer line `exo: exit status N` and ends the machine with that status (0 to 124; larger ones
/// count as 124): by the exit port on our VMM, else by ACPI, else as Bochs is switched off.
[[noreturn]] void exit_machine(unsigned status);

/// Starts the machine anew.
[[noreturn]] void reboot_machine();

}  // namespace exo::guest
