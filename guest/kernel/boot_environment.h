#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/command_line.h"
#include "shared/boot/boot_info.h"

namespace exo::guest {

/// What the kernel knows about how it was started: copied out of BootInfo, so it stays valid.
struct BootEnvironment {
    CommandLine command_line;
    std::span<const boot::MemoryRange> memory_map = {};
    std::string_view firmware_vendor = {};  ///< empty when unknown
    std::uint32_t firmware_revision = 0;
    /// Major in the top half, minor × 10 in the lower; 0 when a VMM started the kernel without firmware.
    std::uint32_t uefi_revision = 0;
    std::uint64_t loader_tsc = 0;                  ///< time stamp at the loader's entry
    std::optional<boot::BootDisk> boot_disk = {};  ///< nothing when the loader did not come from a disk
};

const BootEnvironment& boot_environment();
/// Called once at start-up, or by a test.
void set_boot_environment(const BootEnvironment& environment);

}  // namespace exo::guest
