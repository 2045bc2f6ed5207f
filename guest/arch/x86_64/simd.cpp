#include "guest/arch/x86_64/simd.h"

#include <cstdint>

#include "guest/arch/x86_64/cpu.h"

namespace exo::guest::arch {

void enable_simd() {
    write_cr0((read_cr0() & ~(cr0::emulate_fpu | cr0::task_switched)) | cr0::monitor_coprocessor |
              cr0::numeric_error);
    write_cr4(read_cr4() | cr4::os_fxsr | cr4::os_simd_exceptions);
    constexpr std::uint32_t has_xsave = 1u << 26;
    if ((cpuid(1).ecx & has_xsave) == 0) return;
    write_cr4(read_cr4() | cr4::os_xsave);
    constexpr std::uint64_t x87_sse = 0x3, avx = 0x4, avx512 = 0xe0;
    const std::uint64_t supported = cpuid(0xd).eax;
    std::uint64_t components = x87_sse | (supported & avx);
    if ((supported & (avx | avx512)) == (avx | avx512)) components |= avx512;
    write_xcr0(components);
}

}  // namespace exo::guest::arch
