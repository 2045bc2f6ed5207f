#include "guest/arch/processor_registers.h"

#include "guest/arch/x86_64/cpu.h"

namespace exo::guest::arch {

// try_msr.S
extern "C" bool exo_try_rdmsr(std::uint32_t index, std::uint64_t* value);
extern "C" bool exo_try_wrmsr(std::uint32_t index, std::uint64_t value);

std::optional<std::uint64_t> try_read_msr(std::uint32_t index) {
    std::uint64_t value = 0;
    if (!exo_try_rdmsr(index, &value)) return std::nullopt;
    return value;
}

bool try_write_msr(std::uint32_t index, std::uint64_t value) {
    return exo_try_wrmsr(index, value);
}

void query_processor(std::uint32_t leaf, std::uint32_t subleaf) {
    cpuid(leaf, subleaf);
}

}  // namespace exo::guest::arch
