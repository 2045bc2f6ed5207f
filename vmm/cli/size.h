#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vmm/base/error.h"

namespace exo::vmm {

/// "512M", "2G", "65536K", each with an optional "B" or "iB", in powers of 1024; a bare number is MiB.
Result<std::uint64_t> parse_size(std::string_view text);

/// The other way round, in the largest unit that is exact.
std::string format_size(std::uint64_t bytes);

}  // namespace exo::vmm
