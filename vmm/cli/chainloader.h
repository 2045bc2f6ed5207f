#pragma once

#include <cstddef>
#include <span>

namespace exo::vmm {

/// guest/chainloader as an EFI application; empty when vmm was built without the guest.
std::span<const std::byte> chainloader();

}  // namespace exo::vmm
