#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/base/guest_memory.h"
#include "vmm/machine/address_range.h"
#include "vmm/machine/e820.h"

namespace exo::vmm {

/// What either boot protocol tells the kernel.
struct Handover {
    GuestAddress rsdp;
    AddressRange initrd;  ///< size 0 for none
    std::vector<MemoryMapRange> memory_map;
    std::string command_line;
};

/// False when not all of it would be RAM.
bool put(const GuestMemory& memory, GuestAddress start, std::span<const std::byte> bytes);

/// Puts the line to its place, NUL-terminated; refuses one of more than `longest` bytes.
Result<void> put_command_line(const GuestMemory& memory, const std::string& line, std::uint64_t longest);

}  // namespace exo::vmm
