#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace exo::vmm {

/// Registers that a guest reaches by port or by memory access. `data` is 1, 2, 4 or 8 bytes; offsets are
/// relative to the range that the handler was put at. A handler answers every access; what it does not know
/// reads as all ones.
class IoHandler {
  public:
    virtual ~IoHandler() = default;
    virtual void read(std::uint64_t offset, std::span<std::byte> data) = 0;
    virtual void write(std::uint64_t offset, std::span<const std::byte> data) = 0;
};

/// An interrupt that a device can raise from any thread, edge-triggered (MSI).
class InterruptLine {
  public:
    virtual ~InterruptLine() = default;
    virtual void raise() = 0;
};

}  // namespace exo::vmm
