#pragma once

#include "guest/drivers/driver_services.h"

namespace exo::guest::arch {

/// Time, memory, interrupts and registers of the real machine. The clock runs.
DriverServices& machine_services();

}  // namespace exo::guest::arch
