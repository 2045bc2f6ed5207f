#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "vmm/base/state_archive.h"

namespace exo::vmm {

/// Offsets and bits of the PCI header that the models use (PCI Local Bus 3.0, 6.1).
namespace pci {
inline constexpr std::uint8_t vendor_id = 0x00;
inline constexpr std::uint8_t command = 0x04;
inline constexpr std::uint8_t status = 0x06;
inline constexpr std::uint8_t revision = 0x08;
inline constexpr std::uint8_t cache_line = 0x0c;
inline constexpr std::uint8_t header_type = 0x0e;
inline constexpr std::uint8_t bar0 = 0x10;
inline constexpr std::uint8_t bars_end = 0x28;
inline constexpr std::uint8_t subsystem_vendor = 0x2c;
inline constexpr std::uint8_t capabilities = 0x34;
inline constexpr std::uint8_t interrupt_line = 0x3c;
inline constexpr std::uint8_t interrupt_pin = 0x3d;
inline constexpr std::uint8_t device_specific = 0x40;

inline constexpr std::uint16_t command_io = 1u << 0;
inline constexpr std::uint16_t command_memory = 1u << 1;
inline constexpr std::uint16_t command_master = 1u << 2;
inline constexpr std::uint16_t command_system_error = 1u << 8;
inline constexpr std::uint16_t command_no_pin = 1u << 10;
inline constexpr std::uint16_t status_capabilities = 1u << 4;
inline constexpr std::uint8_t multi_function = 0x80;

inline constexpr std::uint8_t capability_vendor = 0x09;
inline constexpr std::uint8_t capability_msix = 0x11;
}  // namespace pci

/// The 256 bytes of a function's configuration, each bit writable by the guest or not. Little-endian.
class PciConfigSpace {
  public:
    /// `size` is 1, 2 or 4. Bytes past the end read as ones and ignore writes.
    std::uint32_t read(unsigned offset, unsigned size) const;
    void write(unsigned offset, unsigned size, std::uint32_t value);

    std::uint16_t word(unsigned offset) const { return static_cast<std::uint16_t>(read(offset, 2)); }
    std::uint32_t dword(unsigned offset) const { return read(offset, 4); }

    /// For the model itself: sets the bytes whatever the guest may write.
    void set(unsigned offset, unsigned size, std::uint32_t value);
    /// Lets the guest write the bits of `mask`, and no others there.
    void allow(unsigned offset, unsigned size, std::uint32_t mask);

    /// Saves it, or loads those bits that the guest may write.
    void exchange_state(StateArchive& archive) {
        std::array<std::uint8_t, 256> bytes = bytes_;
        archive(bytes);
        for (std::size_t i = 0; i < bytes.size(); ++i)
            bytes_[i] = static_cast<std::uint8_t>((bytes_[i] & ~writable_[i]) | (bytes[i] & writable_[i]));
    }

  private:
    std::array<std::uint8_t, 256> bytes_{};
    std::array<std::uint8_t, 256> writable_{};
};

}  // namespace exo::vmm
