#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace exo::guest {

/// A device's registers behind one range of memory (a BAR) or of ports, offsets in bytes. Each access reaches
/// the device as exactly one access of its width; accesses stay in program order. An offset outside the range
/// reads as all ones and writes nothing.
class Registers {
  public:
    virtual ~Registers() = default;
    virtual std::uint64_t size() const = 0;
    virtual std::uint8_t read8(std::uint64_t offset) = 0;
    virtual std::uint16_t read16(std::uint64_t offset) = 0;
    virtual std::uint32_t read32(std::uint64_t offset) = 0;
    virtual std::uint64_t read64(std::uint64_t offset) = 0;
    virtual void write8(std::uint64_t offset, std::uint8_t value) = 0;
    virtual void write16(std::uint64_t offset, std::uint16_t value) = 0;
    virtual void write32(std::uint64_t offset, std::uint32_t value) = 0;
    virtual void write64(std::uint64_t offset, std::uint64_t value) = 0;
    /// A FIFO: 16-bit accesses at one offset, as many as the data holds pairs of bytes.
    virtual void read16_repeated(std::uint64_t offset, std::span<std::byte> data) = 0;
    virtual void write16_repeated(std::uint64_t offset, std::span<const std::byte> data) = 0;
};

}  // namespace exo::guest
