#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vmm/base/flash_memory.h"
#include "vmm/machine/direct/direct_kernel.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine_disk.h"

namespace exo::vmm {

class SnapshotFile;

/// What a snapshot is for.
enum class SnapshotKind : std::uint8_t {
    guest,    ///< to go on with a guest where it was, on the same disks
    firmware  ///< to save the firmware its work: no disk was used, and any disks of these kinds will do
};

struct MachineConfig {
    unsigned cpus = 1;
    layout::RamSplit ram{};
    /// Page-aligned, never written; they outlive the machine, as the kernel's bytes do. Empty when the kernel
    /// starts directly.
    std::span<std::byte> flash_variables;
    std::span<std::byte> flash_code;
    /// The variable flash when the guest may write to it, with flash_variables as its bytes; else it is
    /// read-only.
    FlashMemory* variables = nullptr;
    /// For the firmware to start; empty when it shall look for something on the disks.
    std::span<const std::byte> kernel;
    /// Instead of firmware: the kernel that the first vCPU starts. Outlives the machine.
    const DirectKernel* direct_kernel = nullptr;
    std::span<const std::byte> initrd = {};
    std::string command_line;
    std::vector<DiskConfig> disks;  ///< in the order of their PCI slots
    bool entropy = true;            ///< a virtio entropy device in the slot after them
    std::string trace_io = {};  ///< file that records the guest's accesses to the platform; empty for none
    std::string version = {};   ///< of the VMM: a snapshot is for the build that made it
    std::span<const std::byte> chainloader = {};  ///< platform.h
    const SnapshotFile* restore = nullptr;        ///< instead of a start; outlives create()
    SnapshotKind restore_kind = SnapshotKind::guest;
};

}  // namespace exo::vmm
