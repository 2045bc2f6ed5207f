#pragma once

#include "guest/drivers/registers.h"

namespace exo::guest::arch {

/// Device registers in uncached memory that is mapped at `base`.
class MemoryRegisters final : public Registers {
  public:
    constexpr MemoryRegisters() = default;
    MemoryRegisters(volatile std::byte* base, std::uint64_t size) : base_(base), size_(size) {}

    std::uint64_t size() const override { return size_; }
    std::uint8_t read8(std::uint64_t offset) override { return read<std::uint8_t>(offset); }
    std::uint16_t read16(std::uint64_t offset) override { return read<std::uint16_t>(offset); }
    std::uint32_t read32(std::uint64_t offset) override { return read<std::uint32_t>(offset); }
    std::uint64_t read64(std::uint64_t offset) override { return read<std::uint64_t>(offset); }
    void write8(std::uint64_t offset, std::uint8_t value) override { write(offset, value); }
    void write16(std::uint64_t offset, std::uint16_t value) override { write(offset, value); }
    void write32(std::uint64_t offset, std::uint32_t value) override { write(offset, value); }
    void write64(std::uint64_t offset, std::uint64_t value) override { write(offset, value); }
    void read16_repeated(std::uint64_t offset, std::span<std::byte> data) override {
        for (std::size_t i = 0; i + 2 <= data.size(); i += 2) {
            const std::uint16_t value = read16(offset);
            data[i] = static_cast<std::byte>(value);
            data[i + 1] = static_cast<std::byte>(value >> 8);
        }
    }
    void write16_repeated(std::uint64_t offset, std::span<const std::byte> data) override {
        for (std::size_t i = 0; i + 2 <= data.size(); i += 2)
            write16(offset, static_cast<std::uint16_t>(std::to_integer<unsigned>(data[i]) |
                                                       std::to_integer<unsigned>(data[i + 1]) << 8));
    }

  private:
    // One instruction of the exact width with a plain operand, so that a hypervisor that decodes it knows it.
    template <typename T>
    T read(std::uint64_t offset) const {
        if (!holds(offset, sizeof(T))) return static_cast<T>(~T{0});
        T value;
        asm volatile("mov %1, %0"
                     : "=a"(value)
                     : "m"(*reinterpret_cast<volatile T*>(base_ + offset))
                     : "memory");
        return value;
    }
    template <typename T>
    void write(std::uint64_t offset, T value) const {
        if (!holds(offset, sizeof(T))) return;
        asm volatile("mov %1, %0"
                     : "=m"(*reinterpret_cast<volatile T*>(base_ + offset))
                     : "a"(value)
                     : "memory");
    }
    bool holds(std::uint64_t offset, std::uint64_t width) const {
        return offset < size_ && width <= size_ - offset;
    }

    volatile std::byte* base_ = nullptr;
    std::uint64_t size_ = 0;
};

}  // namespace exo::guest::arch
