#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace exo::vmm {

/// The bytes in the file of a PE file's section (Microsoft, PE format), as far as the section says that they
/// count; nothing when there is no such section wholly in the file. `name` has 8 characters at most.
std::optional<std::span<const std::byte>> pe_section(std::span<const std::byte> file, std::string_view name);

}  // namespace exo::vmm
