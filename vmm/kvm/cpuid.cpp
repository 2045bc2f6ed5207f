#include "vmm/kvm/cpuid.h"

#include <cpuid.h>

#include <algorithm>
#include <bit>

namespace exo::vmm {
namespace {

constexpr std::uint32_t hypervisor_leaf = 0x4000'0000;
constexpr std::uint32_t frequency_leaf = 0x4000'0010;
constexpr std::uint32_t brand_leaf = 0x8000'0002;
constexpr std::uint32_t brand_leaves = 3;
constexpr std::uint32_t apic_bus_khz = 1'000'000;  // KVM's local APIC counts nanoseconds

constexpr std::uint32_t set_bits(std::uint32_t value, unsigned low, unsigned width, std::uint32_t field) {
    const std::uint32_t mask = ((1u << width) - 1) << low;
    return (value & ~mask) | ((field << low) & mask);
}

constexpr std::uint32_t set_bit(std::uint32_t value, unsigned bit, bool on) {
    return set_bits(value, bit, 1, on ? 1 : 0);
}

void features(CpuidEntry& leaf, std::uint32_t apic_id, const CpuTopology& topology) {
    leaf.ebx = set_bits(leaf.ebx, 16, 8, std::min(255u, 1u << apic_id_bits(topology.cpus)));
    leaf.ebx = set_bits(leaf.ebx, 24, 8, apic_id);
    leaf.ecx = set_bit(leaf.ecx, 5, false);  // VMX: no guest inside the guest
    leaf.ecx = set_bit(leaf.ecx, 24, topology.tsc_deadline);
    leaf.ecx = set_bit(leaf.ecx, 31, true);  // runs under a hypervisor
    leaf.edx = set_bit(leaf.edx, 28, topology.cpus > 1);
}

// Leaves 4 (Intel) and 0x8000001D (AMD): the last level is shared by all cores, the others by none.
void cache_sharing(CpuidEntry& leaf, const CpuTopology& topology) {
    const std::uint32_t kind = leaf.eax & 0x1f;
    if (kind == 0) return;
    const std::uint32_t level = (leaf.eax >> 5) & 7;
    const std::uint32_t ids = (1u << apic_id_bits(topology.cpus)) - 1;
    leaf.eax = set_bits(leaf.eax, 14, 12, level >= 3 ? ids : 0);
    if (leaf.function == 4) leaf.eax = set_bits(leaf.eax, 26, 6, std::min(ids, 63u));
}

void amd_features(CpuidEntry& leaf, const CpuTopology& topology) {
    leaf.ecx = set_bit(leaf.ecx, 1, topology.cpus > 1);  // CmpLegacy: logical processors are cores
    leaf.ecx = set_bit(leaf.ecx, 2, false);              // SVM: no guest inside the guest
}

void amd_core_count(CpuidEntry& leaf, const CpuTopology& topology) {
    leaf.ecx = set_bits(leaf.ecx, 0, 8, topology.cpus - 1);
    leaf.ecx = set_bits(leaf.ecx, 12, 4, apic_id_bits(topology.cpus));
}

void amd_extended_apic_id(CpuidEntry& leaf, std::uint32_t apic_id) {
    leaf.eax = apic_id;
    leaf.ebx = apic_id & 0xff;  // core id; one thread a core
    leaf.ecx = 0;               // node 0, one node
}

// Leaves 0xB and 0x1F: level 0 is a core with one thread, level 1 the package.
void append_extended_topology(CpuidTable& table, std::uint32_t function, std::uint32_t apic_id,
                              const CpuTopology& topology) {
    constexpr std::uint32_t smt = 1;
    constexpr std::uint32_t core = 2;
    table.push_back({function, 0, true, 0, 1, smt << 8, apic_id});
    table.push_back(
        {function, 1, true, apic_id_bits(topology.cpus), topology.cpus, (core << 8) | 1, apic_id});
    table.push_back({function, 2, true, 0, 0, 2, apic_id});
}

void put_brand(CpuidEntry& leaf, const CpuBrand& brand) {
    const std::size_t first = (leaf.function - brand_leaf) * std::size_t{4};
    leaf.eax = brand[first];
    leaf.ebx = brand[first + 1];
    leaf.ecx = brand[first + 2];
    leaf.edx = brand[first + 3];
}

bool is_extended_topology(const CpuidEntry& leaf) {
    return leaf.function == 0xb || leaf.function == 0x1f;
}

}  // namespace

std::uint32_t apic_id_bits(std::uint32_t cpus) {
    return static_cast<std::uint32_t>(std::bit_width(cpus - 1));
}

CpuBrand host_cpu_brand() {
    CpuBrand brand{};
    for (std::uint32_t i = 0; i < brand_leaves; ++i) {
        std::uint32_t* const at = brand.data() + i * std::size_t{4};
        if (__get_cpuid(brand_leaf + i, at, at + 1, at + 2, at + 3) == 0) return {};
    }
    return brand;
}

CpuidTable cpuid_for_vcpu(const CpuidTable& supported, std::uint32_t apic_id, const CpuTopology& topology) {
    CpuidTable table;
    bool has_frequency_leaf = false;
    for (CpuidEntry leaf : supported) {
        if (is_extended_topology(leaf)) {
            if (leaf.index == 0) append_extended_topology(table, leaf.function, apic_id, topology);
            continue;
        }
        if (leaf.function == 0x8000'000a) continue;  // SVM's details
        if (leaf.function == 1) features(leaf, apic_id, topology);
        if (leaf.function == 4 || leaf.function == 0x8000'001d) cache_sharing(leaf, topology);
        if (leaf.function == 0x8000'0001) amd_features(leaf, topology);
        if (leaf.function - brand_leaf < brand_leaves) put_brand(leaf, topology.brand);
        if (leaf.function == 0x8000'0008) amd_core_count(leaf, topology);
        if (leaf.function == 0x8000'001e) amd_extended_apic_id(leaf, apic_id);
        if (leaf.function == hypervisor_leaf && topology.tsc_khz != 0)
            leaf.eax = std::max(leaf.eax, frequency_leaf);
        has_frequency_leaf |= leaf.function == frequency_leaf;
        table.push_back(leaf);
    }
    if (topology.tsc_khz != 0 && !has_frequency_leaf)
        table.push_back({.function = frequency_leaf, .eax = topology.tsc_khz, .ebx = apic_bus_khz});
    return table;
}

}  // namespace exo::vmm
