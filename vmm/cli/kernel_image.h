#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "vmm/base/error.h"

namespace exo::vmm {

/// Whether these bytes are an EFI application for x86_64 (PE32+, Microsoft's PE specification).
Result<void> check_efi_application(std::span<const std::byte> image, const std::string& name);

/// Reads the file that is to start. It must leave most of the guest's `memory` (bytes) free.
Result<std::vector<std::byte>> load_kernel(const std::string& path, std::uint64_t memory);

/// Likewise the initial RAM disk; its content is the kernel's to understand.
Result<std::vector<std::byte>> load_initrd(const std::string& path, std::uint64_t memory);

}  // namespace exo::vmm
