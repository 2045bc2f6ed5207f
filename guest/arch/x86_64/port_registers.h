#pragma once

#include "guest/drivers/registers.h"

namespace exo::guest::arch {

/// A range of I/O ports. A 64-bit access is two 32-bit ones, low half first, as PCI asks for.
class PortRegisters final : public Registers {
  public:
    constexpr PortRegisters(std::uint16_t first, std::uint32_t count) : first_(first), count_(count) {}

    std::uint64_t size() const override { return count_; }
    std::uint8_t read8(std::uint64_t offset) override;
    std::uint16_t read16(std::uint64_t offset) override;
    std::uint32_t read32(std::uint64_t offset) override;
    std::uint64_t read64(std::uint64_t offset) override;
    void write8(std::uint64_t offset, std::uint8_t value) override;
    void write16(std::uint64_t offset, std::uint16_t value) override;
    void write32(std::uint64_t offset, std::uint32_t value) override;
    void write64(std::uint64_t offset, std::uint64_t value) override;
    void read16_repeated(std::uint64_t offset, std::span<std::byte> data) override;
    void write16_repeated(std::uint64_t offset, std::span<const std::byte> data) override;

  private:
    bool holds(std::uint64_t offset, std::uint64_t width) const {
        return offset < count_ && width <= count_ - offset;
    }
    std::uint16_t port(std::uint64_t offset) const { return static_cast<std::uint16_t>(first_ + offset); }

    std::uint16_t first_;
    std::uint32_t count_;
};

/// Every port of the machine: offset = port number.
PortRegisters& all_ports();

}  // namespace exo::guest::arch
