#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "vmm/base/error.h"

namespace exo::vmm {

inline constexpr char give_an_efi_application[] =
    "Give the guest as one EFI application, such as build/release/guest/exo.efi.";

/// Whether these bytes are an EFI application for x86_64 (PE32+, Microsoft's PE specification).
Result<void> check_efi_application(std::span<const std::byte> image, const std::string& name);

}  // namespace exo::vmm
