#pragma once

#include "guest/drivers/registers.h"

namespace exo::guest::arch {

/// Device registers in uncached memory that is mapped at `base`.
class MemoryRegisters final : public RegistersOfAnyWidth<MemoryRegisters> {
  public:
    constexpr MemoryRegisters() = default;
    MemoryRegisters(volatile std::byte* base, std::uint64_t size) : base_(base), size_(size) {}

    std::uint64_t size() const override { return size_; }

  private:
    friend RegistersOfAnyWidth;

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
