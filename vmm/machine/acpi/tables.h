#pragma once

#include <cstddef>
#include <vector>

#include "vmm/machine/layout.h"

namespace exo::vmm::acpi {

/// ACPI as firmware takes it from fw_cfg: two blobs with offsets for pointers, and the commands that place
/// them, relocate the pointers and fix the checksums (QEMU's "BIOS linker/loader").
struct Files {
    std::vector<std::byte> rsdp;    ///< etc/acpi/rsdp
    std::vector<std::byte> tables;  ///< etc/acpi/tables: DSDT, FACS, FADT, MADT, RSDT, XSDT
    std::vector<std::byte> loader;  ///< etc/table-loader
};

struct Description {
    unsigned cpus;  ///< 1 to layout::max_cpus; local APIC ids count from 0
    layout::PciWindows windows;
};

Files build(const Description& machine);

}  // namespace exo::vmm::acpi
