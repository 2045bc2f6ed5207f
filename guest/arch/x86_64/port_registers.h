#pragma once

#include "guest/arch/x86_64/cpu.h"
#include "guest/drivers/registers.h"

namespace exo::guest::arch {

/// A range of I/O ports. A 64-bit access is two 32-bit ones, low half first, as PCI asks for.
class PortRegisters final : public RegistersOfAnyWidth<PortRegisters> {
  public:
    constexpr PortRegisters(std::uint16_t first, std::uint32_t count) : first_(first), count_(count) {}

    std::uint64_t size() const override { return count_; }
    void read16_repeated(std::uint64_t offset, std::span<std::byte> data) override;
    void write16_repeated(std::uint64_t offset, std::span<const std::byte> data) override;

  private:
    friend RegistersOfAnyWidth;

    template <typename T>
    T read(std::uint64_t offset) {
        if constexpr (sizeof(T) == 8) {
            const std::uint64_t low = read32(offset);
            return std::uint64_t{read32(offset + 4)} << 32 | low;
        } else {
            return holds(offset, sizeof(T)) ? in<T>(port(offset)) : static_cast<T>(~T{0});
        }
    }
    template <typename T>
    void write(std::uint64_t offset, T value) {
        if constexpr (sizeof(T) == 8) {
            write32(offset, static_cast<std::uint32_t>(value));
            write32(offset + 4, static_cast<std::uint32_t>(value >> 32));
        } else if (holds(offset, sizeof(T))) {
            out(port(offset), value);
        }
    }
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
