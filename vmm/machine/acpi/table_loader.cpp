#include "vmm/machine/acpi/table_loader.h"

#include <span>

#include "vmm/machine/acpi/table_loader_commands.h"

namespace exo::vmm::acpi {

template <typename Command>
void TableLoader::append(const Command& command) {
    const auto bytes = std::as_bytes(std::span(&command, 1));
    commands_.insert(commands_.end(), bytes.begin(), bytes.end());
    commands_.resize((commands_.size() + command_size - 1) / command_size * command_size);
}

void TableLoader::allocate(std::string_view file, std::uint32_t alignment, Zone zone) {
    append(Allocate{.file = FileName(file), .alignment = alignment, .zone = zone});
}

void TableLoader::add_pointer(std::string_view file, std::uint64_t offset, std::uint8_t size,
                              std::string_view pointee) {
    append(AddPointer{.file = FileName(file),
                      .pointee = FileName(pointee),
                      .offset = static_cast<std::uint32_t>(offset),
                      .size = size});
}

void TableLoader::add_checksum(std::string_view file, std::uint64_t offset, std::uint64_t start,
                               std::uint64_t length) {
    append(AddChecksum{.file = FileName(file),
                       .offset = static_cast<std::uint32_t>(offset),
                       .start = static_cast<std::uint32_t>(start),
                       .length = static_cast<std::uint32_t>(length)});
}

}  // namespace exo::vmm::acpi
