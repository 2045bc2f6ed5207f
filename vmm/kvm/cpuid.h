#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace exo::vmm {

/// What CPUID answers for one leaf, and one sub-leaf where `indexed`.
struct CpuidEntry {
    std::uint32_t function = 0;
    std::uint32_t index = 0;
    bool indexed = false;
    std::uint32_t eax = 0;
    std::uint32_t ebx = 0;
    std::uint32_t ecx = 0;
    std::uint32_t edx = 0;
};

using CpuidTable = std::vector<CpuidEntry>;

/// The processor's name: registers EAX to EDX of leaves 0x80000002 to 0x80000004; all zero when there is
/// none.
using CpuBrand = std::array<std::uint32_t, 12>;

/// That of the processor this runs on.
CpuBrand host_cpu_brand();

/// What the guest's CPUs have in common.
struct CpuTopology {
    std::uint32_t cpus = 1;     ///< cores of one package, one thread each; APIC ids 0 to cpus - 1
    std::uint32_t tsc_khz = 0;  ///< 0 when unknown: then leaf 0x40000010 is not offered
    bool tsc_deadline = false;
    CpuBrand brand{};  ///< KVM leaves it to the VMM
};

/// The table of one vCPU: what KVM supports, with the CPU's own APIC id, one package of single-threaded
/// cores, the hypervisor bit, no nested virtualization, and the TSC's frequency in leaf 0x40000010, and
/// the processor's name.
/// Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E.
CpuidTable cpuid_for_vcpu(const CpuidTable& supported, std::uint32_t apic_id, const CpuTopology& topology);

/// Bits of an APIC id that number the cores of a package.
std::uint32_t apic_id_bits(std::uint32_t cpus);

}  // namespace exo::vmm
