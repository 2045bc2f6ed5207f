#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace exo::vmm::acpi {

/// Where the firmware puts a blob: anywhere, or where legacy systems search for the RSDP.
enum class Zone : std::uint8_t { high = 1, low_megabyte = 2 };

/// The script etc/table-loader that firmware executes to put ACPI tables into memory (QEMU
/// hw/acpi/bios-linker-loader; OVMF AcpiPlatformDxe/QemuFwCfgAcpi): commands of 128 bytes.
class TableLoader {
  public:
    /// Reads the file into memory aligned to `alignment`. Comes before all that names the file.
    void allocate(std::string_view file, std::uint32_t alignment, Zone zone);
    /// Adds the address of `pointee` to the `size` bytes at `offset` of `file`.
    void add_pointer(std::string_view file, std::uint64_t offset, std::uint8_t size,
                     std::string_view pointee);
    /// Makes the bytes [start, start + length) of `file` sum to zero by the one at `offset`, zero until then.
    void add_checksum(std::string_view file, std::uint64_t offset, std::uint64_t start, std::uint64_t length);

    std::vector<std::byte> take() { return std::move(commands_); }

  private:
    template <typename Command>
    void append(const Command& command);

    std::vector<std::byte> commands_;
};

}  // namespace exo::vmm::acpi
