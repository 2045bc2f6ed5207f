#pragma once

#include <cstddef>
#include <expected>
#include <span>
#include <string>

#include "vmm/machine/direct/direct_kernel.h"

namespace exo::vmm {

/// Offsets of the setup header and its surroundings in the first bytes of a bzImage, and in the "zero page"
/// that the kernel is started with.
namespace linux_boot {
inline constexpr std::size_t header_start = 0x1f1;
inline constexpr std::size_t header_end_byte = 0x201;  ///< its end, counted from 0x202
inline constexpr std::size_t header_limit = 0x290;
}  // namespace linux_boot

bool is_bzimage(std::span<const std::byte> file);

/// The error is a clause: "it is …".
std::expected<LinuxKernel, std::string> parse_linux_kernel(std::span<const std::byte> file);

}  // namespace exo::vmm
