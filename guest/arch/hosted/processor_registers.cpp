#include "guest/arch/processor_registers.h"

namespace exo::guest::arch {

std::optional<std::uint64_t> try_read_msr(std::uint32_t) {
    return std::nullopt;
}

bool try_write_msr(std::uint32_t, std::uint64_t) {
    return false;
}

void query_processor(std::uint32_t, std::uint32_t) {}

}  // namespace exo::guest::arch
