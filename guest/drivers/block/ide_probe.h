#pragma once

#include "guest/drivers/block/disk_registry.h"
#include "guest/drivers/driver_services.h"
#include "guest/drivers/pci/pci_function.h"

namespace exo::guest {

/// Is this PCI function an IDE controller?
bool is_ide_controller(const PciFunction& function);

/// Adds the disks on both channels of a controller. Each channel may be at the ports where IDE has been since
/// the first of its kind, with the interrupt of that time, or where a BAR says; there it is polled.
void find_ide_disks(PciFunction function, const DriverServices& services, DiskRegistry& registry);

/// Adds the disks at the old ports: for machines on which no PCI function owns them.
void find_legacy_ide_disks(const DriverServices& services, DiskRegistry& registry);

}  // namespace exo::guest
