#pragma once

#include <cstdint>
#include <optional>

#include "guest/drivers/acpi/fadt.h"
#include "guest/drivers/acpi/sleep_state.h"
#include "guest/drivers/registers.h"

namespace exo::guest {

/// Ends and restarts the machine, by the best means it was told of. Works from the first moment on, so that a
/// panic never hangs: what is not known yet is not tried.
class MachineControl {
  public:
    /// All ports of the machine, offset = port number. Outlives this object's use.
    void set_ports(Registers& ports) { ports_ = &ports; }
    /// The machine is our VMM, which has an exit port.
    void set_has_exit_port(bool has) { has_exit_port_ = has; }
    bool has_exit_port() const { return has_exit_port_; }
    /// How ACPI switches off and restarts; without a sleep type it is not used for switching off.
    void set_acpi(const acpi::Fadt& fadt, std::optional<acpi::SleepType> soft_off);

    /// Ends the machine: the exit port of our VMM takes the status; else soft-off by ACPI; else Bochs's
    /// shutdown port. A machine that cannot be switched off is stopped, and the console says so.
    [[noreturn]] void end(std::uint16_t status);
    /// Restarts it: ACPI's reset register, port CF9, the keyboard controller, a triple fault.
    [[noreturn]] void restart();

    /// `end` without its last resort: returns when the machine is still there.
    void try_end(std::uint16_t status);
    /// `restart` likewise.
    void try_restart();

  private:
    void soft_off();

    Registers* ports_ = nullptr;
    bool has_exit_port_ = false;
    acpi::Fadt fadt_;
    std::optional<acpi::SleepType> soft_off_;
};

MachineControl& machine_control();

/// Prints the trailer line `exo: exit status N` and ends the machine with that status (0 to 124; larger ones
/// count as 124).
[[noreturn]] void exit_machine(unsigned status);

/// Starts the machine anew.
[[noreturn]] void reboot_machine();

}  // namespace exo::guest
