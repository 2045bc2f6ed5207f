#pragma once

#include <cstddef>
#include <vector>

#include "vmm/machine/layout.h"

namespace exo::vmm::acpi {

/// ACPI as firmware takes it from fw_cfg: two blobs with offsets for pointers, and the commands that place
/// them, relocate the pointers and fix the checksums (QEMU's "BIOS linker/loader").
struct Files {
    static constexpr const char* rsdp_name = "etc/acpi/rsdp";
    static constexpr const char* tables_name = "etc/acpi/tables";
    static constexpr const char* loader_name = "etc/table-loader";

    std::vector<std::byte> rsdp;
    std::vector<std::byte> tables;  ///< FACS, DSDT, FADT, MADT, RSDT, XSDT
    std::vector<std::byte> loader;
};

struct Description {
    unsigned cpus;  ///< 1 to layout::max_cpus; local APIC ids count from 0
    layout::PciWindows windows;
};

Files build(const Description& machine);

}  // namespace exo::vmm::acpi
