#pragma once

#include <cstddef>
#include <expected>
#include <span>
#include <string>

#include "vmm/machine/direct/direct_kernel.h"

namespace exo::vmm {

/// The error is a clause: "it is …".
std::expected<PvhKernel, std::string> parse_elf_kernel(std::span<const std::byte> file);

}  // namespace exo::vmm
