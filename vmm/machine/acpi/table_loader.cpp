#include "vmm/machine/acpi/table_loader.h"

#include <algorithm>
#include <span>

namespace exo::vmm::acpi {

namespace {

constexpr std::size_t command_size = 128;

#pragma pack(push, 1)

struct FileName {
    char text[56];

    explicit FileName(std::string_view name) : text{} {
        std::ranges::copy(name.substr(0, sizeof text - 1), text);
    }
};

struct Allocate {
    std::uint32_t command = 1;
    FileName file;
    std::uint32_t alignment;
    Zone zone;
};

struct AddPointer {
    std::uint32_t command = 2;
    FileName file;
    FileName pointee;
    std::uint32_t offset;
    std::uint8_t size;
};

struct AddChecksum {
    std::uint32_t command = 3;
    FileName file;
    std::uint32_t offset;
    std::uint32_t start;
    std::uint32_t length;
};

#pragma pack(pop)

static_assert(sizeof(Allocate) == 65 && sizeof(AddPointer) == 121 && sizeof(AddChecksum) == 72);

}  // namespace

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
