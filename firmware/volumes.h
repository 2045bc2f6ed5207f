#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "vmm/base/error.h"

namespace exo::firmware {

/// What a flash image turns out to hold.
enum class ImageKind : std::uint8_t { code, variables, combined };

/// Walks the firmware volumes of an image (UEFI Platform Initialization 1.7, volume 3, 3.2.1): they follow
/// one another and fill it. So a truncated image, or a file of another kind, is told before it is mapped.
/// @param name  of the file, for the error
vmm::Result<ImageKind> inspect(std::span<const std::byte> image, const std::string& name);

}  // namespace exo::firmware
