#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/kernel/error.h"
#include "shared/boot/boot_info.h"

/// The kernel's address space:
///
///     ffff800000000000  direct map: RAM and nothing else, writable, except where the kernel's code and
///                       constants lie
///     ffffc00000000000  windows on device memory (uncached) and on tables of the firmware (read-only)
///     ffffd00000000000  stacks, each with 64 KiB of nothing below it as a guard
///     ffffffff80000000  the kernel: code read-only and executable, constants read-only, data writable
///
/// Nothing is mapped in the lower half.
namespace exo::guest::arch {

/// Builds it from frames and switches to it. `kernel_physical` is where the image lies.
Result<void> enter_address_space(std::span<const boot::MemoryRange> map, std::uint64_t kernel_physical);

/// Where a variable of the kernel's image lies in the machine's memory.
std::uint64_t physical_in_image(const void* variable);

/// Which of the machine's addresses are memory, from now on; it lives as long as the kernel.
void use_memory_map(std::span<const boot::MemoryRange> map);

/// A window on device memory, uncached. Memory that is RAM is refused.
Result<volatile std::byte*> map_device(std::uint64_t physical, std::uint64_t size);

/// A view of memory that firmware filled: by the direct map, or by a window where the memory is reserved.
Result<std::span<const std::byte>> map_firmware(std::uint64_t physical, std::size_t size);

/// Page tables that show, beside the kernel, one page at its physical address: for code that turns paging on.
/// They lie below 4 GiB and are gone with the object.
class LowPageTables {
  public:
    LowPageTables() = default;
    ~LowPageTables();
    LowPageTables(const LowPageTables&) = delete;
    LowPageTables& operator=(const LowPageTables&) = delete;

    /// Once. The physical address of the top-level table.
    Result<std::uint64_t> build(std::uint64_t page);

  private:
    std::uint64_t tables_[4] = {};
};

/// Whether an address is in no stack, but in the room between them.
bool is_stack_guard(std::uint64_t address);
bool is_kernel_code(std::uint64_t address);

}  // namespace exo::guest::arch
