#include "vmm/cli/host_processor.h"

#include <cpuid.h>

#include <array>
#include <cstring>
#include <fstream>
#include <string_view>

namespace exo::vmm {

std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
    return "unknown model";
}

bool processor_is_emulated() {
    constexpr unsigned hypervisor_leaf = 0x4000'0000;
    constexpr unsigned hypervisor_present = 1u << 31;
    unsigned eax = 0;
    std::array<unsigned, 3> name{};
    unsigned features = 0;
    if (__get_cpuid(1, &eax, name.data(), &features, &name[1]) == 0 || (features & hypervisor_present) == 0)
        return false;
    __cpuid(hypervisor_leaf, eax, name[0], name[1], name[2]);
    std::array<char, sizeof(name)> text{};
    std::memcpy(text.data(), name.data(), sizeof(name));
    return std::string_view(text.data(), text.size()) == "TCGTCGTCGTCG";
}

}  // namespace exo::vmm
