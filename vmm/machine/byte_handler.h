#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vmm/base/io_handler.h"

namespace exo::vmm {

/// A chip with an 8-bit bus: wider accesses are taken apart, lowest address first, as the ISA bus does.
class ByteHandler : public IoHandler {
  public:
    void read(std::uint64_t offset, std::span<std::byte> data) final {
        for (std::byte& byte : data) byte = std::byte{read_byte(offset++)};
    }
    void write(std::uint64_t offset, std::span<const std::byte> data) final {
        for (const std::byte byte : data) write_byte(offset++, std::to_integer<std::uint8_t>(byte));
    }

  protected:
    virtual std::uint8_t read_byte(std::uint64_t offset) = 0;
    virtual void write_byte(std::uint64_t offset, std::uint8_t value) = 0;
};

}  // namespace exo::vmm
