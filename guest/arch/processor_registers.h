#pragma once

#include <cstdint>
#include <optional>

namespace exo::guest::arch {

/// A model-specific register of this processor; nothing when it refuses, as it does for one that it has not,
/// and always in a Linux process.
std::optional<std::uint64_t> try_read_msr(std::uint32_t index);
/// False when it refuses the register, or this value.
bool try_write_msr(std::uint32_t index, std::uint64_t value);

/// CPUID, for its effect on whoever answers it.
void query_processor(std::uint32_t leaf, std::uint32_t subleaf);

}  // namespace exo::guest::arch
