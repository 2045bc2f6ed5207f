#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/base/guest_memory.h"

/// Kernels that the VMM starts itself, without firmware. Their files are untrusted: every offset and size is
/// checked here, once, against the file; later against the guest's memory.
namespace exo::vmm {

/// An ELF file with a PVH entry (shared/boot/pvh.h).
struct PvhKernel {
    struct Segment {
        GuestAddress start;
        std::uint64_t memory_size;        ///< bytes from `start`; those behind `file` are zero
        std::span<const std::byte> file;  ///< not longer than memory_size
    };
    std::vector<Segment> segments;  ///< sorted, disjoint
    GuestAddress entry;             ///< in one of the segments
    /// The whole ELF file when the kernel wants it handed over for its symbols, else empty.
    std::span<const std::byte> symbols;
};

/// A Linux bzImage with a 64-bit entry (Linux, Documentation/arch/x86/boot.rst, protocol 2.12 and later).
struct LinuxKernel {
    std::span<const std::byte> setup_header;  ///< from offset 0x1f1 of the file on
    std::span<const std::byte> payload;       ///< what is loaded
    std::uint64_t preferred_address;
    std::uint64_t
        memory_size;  ///< bytes from the load address that the kernel needs before it knows its memory
    std::uint64_t alignment;  ///< of the load address, a power of two
    bool relocatable;
    std::uint64_t initrd_last;        ///< the highest address that the initrd may have
    std::uint64_t command_line_size;  ///< longest, without the NUL
};

using DirectKernel = std::variant<PvhKernel, LinuxKernel>;

/// Understands exo.efi (an ELF file in the section `.kernel` of a PE file), a plain ELF file, or a bzImage.
/// The kernel has views of `file`.
/// @param name  of the file, for the error
Result<DirectKernel> parse_direct_kernel(std::span<const std::byte> file, const std::string& name);

}  // namespace exo::vmm
