#pragma once

#include "guest/drivers/driver_services.h"

namespace exo::guest {

/// What the machine offers to drivers and apps: time, memory for devices, interrupts, registers. Tests
/// install their own before they call code that asks for it.
DriverServices& services();
void install_services(DriverServices& installed);

}  // namespace exo::guest
