#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace exo::vmm {

/// The cells of a flash chip that the guest writes to. `bytes` stays at one place for the object's life.
class FlashMemory {
  public:
    virtual ~FlashMemory() = default;
    /// Page-aligned.
    virtual std::span<std::byte> bytes() = 0;
    /// Clears those bits at `offset` that `data` has clear, as flash does. Both lie inside.
    virtual void program(std::uint64_t offset, std::span<const std::byte> data) = 0;
    /// Sets all bits of `size` bytes.
    virtual void erase(std::uint64_t offset, std::uint64_t size) = 0;
};

}  // namespace exo::vmm
