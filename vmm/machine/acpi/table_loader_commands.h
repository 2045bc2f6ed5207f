#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "vmm/machine/acpi/table_loader.h"

/// The commands of etc/table-loader as they lie in the file.
namespace exo::vmm::acpi {

inline constexpr std::size_t command_size = 128;

#pragma pack(push, 1)

struct FileName {
    char text[56];

    FileName() = default;
    explicit FileName(std::string_view name) : text{} {
        std::ranges::copy(name.substr(0, sizeof text - 1), text);
    }
    std::string_view view() const { return {text, std::ranges::find(text, '\0')}; }
};

struct Allocate {
    static constexpr std::uint32_t number = 1;
    std::uint32_t command = number;
    FileName file;
    std::uint32_t alignment;
    Zone zone;
};

struct AddPointer {
    static constexpr std::uint32_t number = 2;
    std::uint32_t command = number;
    FileName file;
    FileName pointee;
    std::uint32_t offset;
    std::uint8_t size;
};

struct AddChecksum {
    static constexpr std::uint32_t number = 3;
    std::uint32_t command = number;
    FileName file;
    std::uint32_t offset;
    std::uint32_t start;
    std::uint32_t length;
};

#pragma pack(pop)

static_assert(sizeof(Allocate) == 65 && sizeof(AddPointer) == 121 && sizeof(AddChecksum) == 72);

}  // namespace exo::vmm::acpi
