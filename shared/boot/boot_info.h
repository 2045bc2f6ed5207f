#pragma once

#include <stddef.h>
#include <stdint.h>

/// What the loader, or the PVH entry of a kernel started directly, hands to the kernel. Every address is
/// guest-physical; everything lies in memory that the map marks as `loader`, so the kernel can keep it until
/// it has copied what it needs.
namespace exo::boot {

/// Where the direct map of physical memory starts: physical address P is visible at direct_map_base + P.
inline constexpr uint64_t direct_map_base = 0xffff'8000'0000'0000;
/// Where the kernel image is linked.
inline constexpr uint64_t kernel_base = 0xffff'ffff'8000'0000;

inline constexpr uint64_t boot_info_magic = 0x544f'4f42'2d4f'5845;  // "EXO-BOOT"
inline constexpr uint32_t boot_info_version = 2;

enum class MemoryKind : uint32_t {
    usable = 1,  ///< free for the kernel
    loader = 2,  ///< BootInfo, kernel image, first page tables: usable once the kernel has moved off them
    acpi_reclaimable = 3,  ///< ACPI tables
    reserved = 4,          ///< firmware runtime, ACPI NVS, holes
    mmio = 5,
};

/// One range of the memory map, sorted by start, without overlap; both fields are multiples of 4096.
struct MemoryRange {
    uint64_t start;
    uint64_t size;
    MemoryKind kind;
    uint32_t reserved;
};
static_assert(sizeof(MemoryRange) == 24);

/// The disk that the loader came from, told by its first sector and its size; all zero when it did not come
/// from one.
struct BootDisk {
    uint64_t sectors;  ///< of 512 bytes
    uint8_t first_sector[512];
};
static_assert(sizeof(BootDisk) == 520);

/// The processors that the firmware found and enabled, the one that booted among them, by their local APICs'
/// ids; none when the firmware does not tell (no MP services protocol). More than there is room for are left
/// out.
struct BootCpus {
    static constexpr size_t max_count = 64;
    uint32_t count;
    uint32_t apic_ids[max_count];
    uint32_t reserved;
};
static_assert(sizeof(BootCpus) == 264);

struct BootInfo {
    uint64_t magic;
    uint32_t version;
    uint32_t size;  ///< sizeof(BootInfo)
    uint64_t memory_map;
    uint64_t memory_map_count;
    uint64_t command_line;  ///< UTF-8, not terminated
    uint64_t command_line_size;
    uint64_t acpi_rsdp;  ///< 0 when the firmware has no ACPI
    uint64_t elf_image;  ///< the kernel's ELF file, symbol table included, for backtraces
    uint64_t elf_size;
    uint64_t kernel_physical;  ///< where kernel_base is in physical memory; the image is contiguous
    uint64_t kernel_size;      ///< bytes, bss included, a multiple of 4096
    uint64_t loader_tsc;       ///< TSC at the loader's entry
    uint64_t firmware_vendor;  ///< UTF-8, NUL-terminated; 0 when unknown
    uint32_t firmware_revision;
    uint32_t uefi_revision;  ///< 0 when a VMM started the kernel without firmware
    BootDisk boot_disk;
    BootCpus cpus;
};
static_assert(offsetof(BootInfo, memory_map) == 16);
static_assert(offsetof(BootInfo, kernel_physical) == 72);
static_assert(offsetof(BootInfo, boot_disk) == 112);
static_assert(offsetof(BootInfo, cpus) == 632);
static_assert(sizeof(BootInfo) == 896);

}  // namespace exo::boot
