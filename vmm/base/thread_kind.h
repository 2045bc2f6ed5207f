#pragma once

#include <cstdint>

namespace exo::vmm {

/// Threads that a guest drives directly.
enum class ThreadKind : std::uint8_t { vcpu, device };

}  // namespace exo::vmm
