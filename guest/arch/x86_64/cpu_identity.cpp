#include "guest/arch/x86_64/cpu_identity.h"

#include <cstring>

#include "guest/arch/x86_64/cpu.h"

namespace exo::guest::arch {
namespace {

constinit char brand[48] = {};
constinit char hypervisor[12] = {};

/// The text up to its first NUL, without blanks around it.
std::string_view tidy(std::string_view text) {
    text = text.substr(0, text.find('\0'));
    const std::size_t first = text.find_first_not_of(' ');
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

}  // namespace

std::string_view cpu_name() {
    constexpr std::uint32_t first = 0x8000'0002;
    if (cpuid(0x8000'0000).eax < first + 2) return "x86-64";
    for (std::uint32_t i = 0; i < 3; ++i) {
        const CpuidResult part = cpuid(first + i);
        std::memcpy(brand + i * sizeof(part), &part, sizeof(part));
    }
    const std::string_view name = tidy({brand, sizeof(brand)});
    return name.empty() ? "x86-64" : name;
}

std::string_view hypervisor_name() {
    if ((cpuid(1).ecx & 1u << 31) == 0) return {};
    const CpuidResult leaf = cpuid(0x4000'0000);
    const std::uint32_t words[3] = {leaf.ebx, leaf.ecx, leaf.edx};
    std::memcpy(hypervisor, words, sizeof(words));
    return tidy({hypervisor, sizeof(hypervisor)});
}

}  // namespace exo::guest::arch
