#pragma once

#include "guest/drivers/block/disk_registry.h"
#include "guest/drivers/driver_services.h"
#include "guest/drivers/pci/pci_config.h"

namespace exo::guest {

/// Starts a driver for every disk that the machine has, in the order of their PCI addresses, and adds it to
/// the registry. A disk that cannot be used is told on the console and passed over.
void find_disks(PciConfig& config, const DriverServices& services, DiskRegistry& registry);

}  // namespace exo::guest
