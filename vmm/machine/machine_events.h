#pragma once

#include <cstdint>

#include "shared/platform/platform.h"

namespace exo::vmm {

/// What the guest asks of the machine as a whole. Called on the vCPU thread whose access asked for it, which
/// must not run on in the guest after any but the last.
class MachineEvents {
  public:
    virtual ~MachineEvents() = default;
    /// Start anew, as after power-on: the models have no reset of their own, the machine makes fresh ones.
    virtual void reset_requested() = 0;
    /// ACPI S5.
    virtual void power_off_requested() = 0;
    /// The guest ended with this status, already narrowed to what shared/platform/exit_status.h lets a guest
    /// say.
    virtual void exit_requested(std::uint16_t status) = 0;
    virtual void boot_phase(platform::BootPhase phase) = 0;
};

}  // namespace exo::vmm
