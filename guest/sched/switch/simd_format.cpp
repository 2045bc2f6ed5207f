#include "guest/sched/switch/simd_format.h"

#include <cpuid.h>

#include <algorithm>

namespace exo::guest {
namespace {

using Method = SimdFormat::Method;

constexpr std::uint64_t x87_sse_avx_avx512 = 0xe7;
constexpr std::size_t legacy_region_and_header = 576;
constexpr unsigned highest_component = 7;

struct Cpuid {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;

    /// All zero where the processor has no such leaf.
    explicit Cpuid(unsigned leaf, unsigned subleaf = 0) {
        __get_cpuid_count(leaf, subleaf, &eax, &ebx, &ecx, &edx);
    }
};

std::uint64_t enabled_components() {
    std::uint32_t low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (std::uint64_t{high} << 32 | low) & x87_sse_avx_avx512;
}

bool has(Method method) {
    constexpr unsigned osxsave = 1u << 27;
    if (method == Method::fxsave) return true;
    if ((Cpuid(1).ecx & osxsave) == 0) return false;
    const unsigned extensions = Cpuid(0xd, 1).eax;
    if (method == Method::xsaveopt) return (extensions & 1) != 0;
    if (method == Method::xsavec) return (extensions & 2) != 0;
    return true;
}

std::size_t area_bytes(Method method, std::uint64_t components) {
    std::size_t end = legacy_region_and_header;
    for (unsigned i = 2; i <= highest_component; ++i) {
        if ((components >> i & 1) == 0) continue;
        const Cpuid component(0xd, i);
        if (method == Method::xsavec) {
            const bool aligned = (component.ecx & 2) != 0;
            end = (aligned ? (end + 63) & ~std::size_t{63} : end) + component.eax;
        } else {
            end = std::max<std::size_t>(end, component.ebx + component.eax);
        }
    }
    return end;
}

bool is_amd_without_xsaveerptr() {
    const Cpuid vendor(0);
    const bool amd = vendor.ecx == signature_AMD_ecx;
    constexpr unsigned hygon_ebx = 0x6f677948;  // "Hygo"
    const bool hygon = vendor.ebx == hygon_ebx;
    constexpr unsigned xsaveerptr = 1u << 2;
    return (amd || hygon) && (Cpuid(0x8000'0008).ebx & xsaveerptr) == 0;
}

}  // namespace

std::optional<SimdFormat> SimdFormat::of_this_cpu(Method method) {
    if (!has(method)) return std::nullopt;
    SimdFormat format{.method = method, .leaves_x87_pointers = is_amd_without_xsaveerptr()};
    if (method == Method::fxsave) return format;
    format.components = enabled_components();
    format.bytes = area_bytes(method, format.components);
    return format;
}

SimdFormat SimdFormat::of_this_cpu() {
    for (const Method method : {Method::xsavec, Method::xsaveopt, Method::xsave}) {
        if (const auto format = of_this_cpu(method)) return *format;
    }
    return *of_this_cpu(Method::fxsave);
}

}  // namespace exo::guest
