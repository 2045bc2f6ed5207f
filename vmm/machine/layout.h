#pragma once

#include <algorithm>
#include <cstdint>

#include "shared/platform/platform.h"
#include "vmm/base/guest_memory.h"
#include "vmm/machine/address_range.h"

/// Every address, port, interrupt and PCI slot of the machine: an i440FX with a PIIX4, as stock OVMF knows
/// it.
namespace exo::vmm::layout {

inline constexpr std::uint64_t kib = 1024;
inline constexpr std::uint64_t mib = 1024 * kib;
inline constexpr std::uint64_t gib = 1024 * mib;

// Memory. RAM goes up to 2 GiB, the rest starts at 4 GiB; between them lie PCI, the interrupt controllers and
// the firmware's flash.
inline constexpr std::uint64_t low_ram_limit = 2 * gib;
inline constexpr GuestAddress high_ram_start{4 * gib};
/// Without legacy video and option ROMs this hole of low memory holds nothing that a guest may use.
inline constexpr AddressRange legacy_hole{640 * kib, 384 * kib};
/// OVMF's early work area ends at about 24 MiB; with this much it has been seen to boot.
inline constexpr std::uint64_t min_ram = 48 * mib;

/// How `total` bytes of RAM are laid out: `low` from address 0, `high` from high_ram_start.
struct RamSplit {
    std::uint64_t low;
    std::uint64_t high;

    constexpr std::uint64_t total() const { return low + high; }
    /// The first address above all RAM, not below 4 GiB.
    constexpr GuestAddress top() const { return high_ram_start + high; }
    constexpr bool operator==(const RamSplit&) const = default;
};

constexpr RamSplit split_ram(std::uint64_t total) {
    const std::uint64_t low = std::min(total, low_ram_limit);
    return {low, total - low};
}

// Interrupt controllers and what KVM keeps for itself on Intel hosts: KVM's default places collide with the
// flash. The 16 KiB are reserved in e820.
inline constexpr GuestAddress ioapic_base{0xfec0'0000};
inline constexpr unsigned ioapic_pins = 24;
inline constexpr GuestAddress lapic_base{0xfee0'0000};
inline constexpr GuestAddress kvm_identity_map{0xfeff'c000};
inline constexpr GuestAddress kvm_tss{0xfeff'd000};
inline constexpr AddressRange kvm_reserved{0xfeff'c000, 16 * kib};
/// Messages written here by a device are interrupts (Intel SDM 3, "Message Signalled Interrupts").
inline constexpr AddressRange msi_window{0xfee0'0000, mib};
/// APIC ids 0 to 253: what xAPIC can name, less the broadcast id.
inline constexpr unsigned max_cpus = 254;

// Flash ends at 4 GiB: code at the top, variables directly below. No firmware is larger than this.
inline constexpr std::uint64_t flash_end = 4 * gib;
inline constexpr std::uint64_t max_flash = 16 * mib;

struct FlashLayout {
    AddressRange variables;
    AddressRange code;
};

/// Where flash images of these sizes (bytes) lie; together at most max_flash.
constexpr FlashLayout place_flash(std::uint64_t variables_size, std::uint64_t code_size) {
    const std::uint64_t code_start = flash_end - code_size;
    return {{code_start - variables_size, variables_size}, {code_start, code_size}};
}

/// Where a kernel that starts without firmware finds what it needs, below 640 KiB. ACPI tables, and what the
/// kernel is given beside itself, lie at the top of low RAM.
namespace direct {
inline constexpr GuestAddress descriptors{0x500};
inline constexpr GuestAddress start_info{0x1000};   ///< PVH: StartInfo, and its module
inline constexpr GuestAddress memory_map{0x2000};   ///< PVH
inline constexpr GuestAddress zero_page{0x7000};    ///< Linux
inline constexpr GuestAddress page_tables{0x9000};  ///< Linux: six of them, for 4 GiB
inline constexpr AddressRange command_line{0x2'0000, 64 * kib};
}  // namespace direct

// PCI: one bus. BARs decode only inside these windows.
struct PciWindows {
    AddressRange io;
    AddressRange memory32;
    AddressRange memory64;  ///< size 0 when the address space ends below it
};

inline constexpr AddressRange pci_io_window{0xc000, 0x4000};
inline constexpr AddressRange pci_memory32_window{2 * gib, 0xfc00'0000 - 2 * gib};

/// The 64-bit window takes all that lies above RAM, for OVMF builds differ in where they put theirs.
/// @param physical_bits  width of a guest-physical address, as CPUID 0x80000008 tells the guest
constexpr PciWindows pci_windows(const RamSplit& ram, unsigned physical_bits) {
    const std::uint64_t start = (ram.top().value + gib - 1) / gib * gib;
    const std::uint64_t limit = std::uint64_t{1} << std::min(physical_bits, 52u);
    return {pci_io_window, pci_memory32_window, {start, limit > start ? limit - start : 0}};
}

struct PciSlot {
    std::uint8_t device;
    std::uint8_t function = 0;
    constexpr bool operator==(const PciSlot&) const = default;
};

inline constexpr PciSlot host_bridge_slot{0, 0};
inline constexpr PciSlot isa_bridge_slot{1, 0};
inline constexpr PciSlot power_management_slot{1, 3};
/// The machine's own devices take one slot each from here up to slot 31.
inline constexpr std::uint8_t first_device_slot = 2;
inline constexpr std::uint8_t device_slots = 30;
/// The entropy device takes one.
inline constexpr std::uint8_t disk_slots = device_slots - 1;

// Ports.
inline constexpr std::uint16_t keyboard_command_port = 0x64;  ///< only as a way to reset
inline constexpr std::uint16_t rtc_port = 0x70;               ///< index, data
inline constexpr std::uint16_t system_control_port = 0x92;
inline constexpr std::uint16_t serial_port = 0x3f8;  ///< 8 ports, COM1
inline constexpr std::uint16_t debug_port = 0x402;
inline constexpr std::uint16_t fw_cfg_port = 0x510;  ///< selector and data
inline constexpr std::uint16_t fw_cfg_dma_port = 0x514;
inline constexpr std::uint16_t exit_port = platform::exit_port;
inline constexpr std::uint16_t phase_port = platform::phase_port;
inline constexpr std::uint16_t pci_config_port = 0xcf8;  ///< 8 ports; the byte 0xcf9 is the reset control
inline constexpr std::uint16_t reset_control_port = 0xcf9;
inline constexpr std::uint16_t cpu_hotplug_port = 0xaf00;  ///< 12 ports that read as all ones
/// Where OVMF puts the power management ports, and so what the FADT says.
inline constexpr std::uint16_t power_management_port = 0xb000;

// ISA interrupts.
inline constexpr unsigned serial_irq = 4;
inline constexpr unsigned sci_irq = 9;
/// PCI pins A to D reach the IOAPIC here (level, active low); no device of ours uses them: they have MSI-X.
inline constexpr unsigned pci_irq_base = 16;

}  // namespace exo::vmm::layout
