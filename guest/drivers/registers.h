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

/// Registers by two templates of `Device`, which may be private to it and this class' friend:
/// `T read<T>(offset)` and `void write<T>(offset, T value)`, for each unsigned T of 8 to 64 bits.
template <class Device>
class RegistersOfAnyWidth : public Registers {
  public:
    std::uint8_t read8(std::uint64_t offset) final { return read<std::uint8_t>(offset); }
    std::uint16_t read16(std::uint64_t offset) final { return read<std::uint16_t>(offset); }
    std::uint32_t read32(std::uint64_t offset) final { return read<std::uint32_t>(offset); }
    std::uint64_t read64(std::uint64_t offset) final { return read<std::uint64_t>(offset); }
    void write8(std::uint64_t offset, std::uint8_t value) final { write(offset, value); }
    void write16(std::uint64_t offset, std::uint16_t value) final { write(offset, value); }
    void write32(std::uint64_t offset, std::uint32_t value) final { write(offset, value); }
    void write64(std::uint64_t offset, std::uint64_t value) final { write(offset, value); }
    void read16_repeated(std::uint64_t offset, std::span<std::byte> data) override {
        for (std::size_t i = 0; i + 2 <= data.size(); i += 2) {
            const auto value = read<std::uint16_t>(offset);
            data[i] = static_cast<std::byte>(value);
            data[i + 1] = static_cast<std::byte>(value >> 8);
        }
    }
    void write16_repeated(std::uint64_t offset, std::span<const std::byte> data) override {
        for (std::size_t i = 0; i + 2 <= data.size(); i += 2)
            write(offset, static_cast<std::uint16_t>(std::to_integer<unsigned>(data[i]) |
                                                     std::to_integer<unsigned>(data[i + 1]) << 8));
    }

  private:
    template <typename T>
    T read(std::uint64_t offset) {
        return static_cast<Device*>(this)->template read<T>(offset);
    }
    template <typename T>
    void write(std::uint64_t offset, T value) {
        static_cast<Device*>(this)->write(offset, value);
    }
};

}  // namespace exo::guest
