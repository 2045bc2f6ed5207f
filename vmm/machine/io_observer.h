#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace exo::vmm {

enum class IoDirection : std::uint8_t { read, write };

/// Sees every access on a bus once it is done, with the value read or written. May be called by several vCPU
/// threads at once.
class IoObserver {
  public:
    virtual ~IoObserver() = default;
    virtual void accessed(IoDirection direction, std::uint64_t address, std::span<const std::byte> data) = 0;
};

}  // namespace exo::vmm
