#pragma once

#include <stddef.h>
#include <stdint.h>

/// What a VMM hands to a kernel that it starts directly, by the PVH boot protocol (Xen, docs/misc/pvh.pandoc
/// and public/arch-x86/hvm/start_info.h). The processor is in 32-bit protected mode with flat segments and
/// without paging, and EBX holds the guest-physical address of the StartInfo.
namespace exo::boot::pvh {

/// Type of the ELF note (name "Xen") whose descriptor is the physical address of the 32-bit entry.
inline constexpr uint32_t note_entry = 18;

inline constexpr uint32_t start_info_magic = 0x336e'c578;
/// The first version that has a memory map.
inline constexpr uint32_t start_info_version = 1;

struct StartInfo {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules;       ///< address of that many Module
    uint64_t command_line;  ///< NUL-terminated; 0 for none
    uint64_t rsdp;          ///< 0 for none
    uint64_t memory_map;    ///< address of that many MemoryMapEntry
    uint32_t memory_map_count;
    uint32_t reserved;
};
static_assert(sizeof(StartInfo) == 56 && offsetof(StartInfo, memory_map) == 40);

struct Module {
    uint64_t address;
    uint64_t size;
    uint64_t command_line;  ///< NUL-terminated; 0 for none
    uint64_t reserved;
};
static_assert(sizeof(Module) == 32);

/// Types are those of the BIOS call E820.
struct MemoryMapEntry {
    uint64_t address;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
};
static_assert(sizeof(MemoryMapEntry) == 24);

inline constexpr uint32_t memory_ram = 1, memory_reserved = 2, memory_acpi = 3;

}  // namespace exo::boot::pvh
