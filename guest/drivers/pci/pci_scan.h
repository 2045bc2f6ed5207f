#pragma once

#include <cstddef>
#include <span>

#include "guest/drivers/pci/pci_config.h"

namespace exo::guest {

/// Finds every function on the root bus and behind the bridges that the firmware has set up, in ascending
/// order on each bus. Fills `found` from the front and says how many there are; those beyond its size are
/// counted, too.
std::size_t pci_scan(PciConfig& config, std::span<PciAddress> found);

}  // namespace exo::guest
