#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace exo::vmm {

/// Private resident memory in a text as /proc/PID/smaps has it, in KiB, without the mappings that overlap one
/// of `excluded`.
std::uint64_t private_kib(std::string_view smaps, std::span<const std::span<const std::byte>> excluded);

/// The same of this process now; 0 when the kernel does not tell.
std::uint64_t own_private_kib(std::span<const std::span<const std::byte>> excluded);

}  // namespace exo::vmm
