#include "vmm/kvm/cpuid.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

namespace exo::vmm {
namespace {

const CpuidTable host = {
    {.function = 0, .eax = 0x1f},
    {.function = 1, .ebx = 0x0702'0800, .ecx = 1u << 5, .edx = 0},
    {.function = 4, .index = 0, .indexed = true, .eax = 0xfc00'4121},  // L1 data, shared by 2
    {.function = 4, .index = 3, .indexed = true, .eax = 0xfc1f'c163},  // L3
    {.function = 4, .index = 4, .indexed = true, .eax = 0},
    {.function = 0xb, .index = 0, .indexed = true, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 7},
    {.function = 0xb, .index = 1, .indexed = true, .eax = 4, .ebx = 16, .ecx = 0x201, .edx = 7},
    {.function = 0x4000'0000, .eax = 0x4000'0001},
    {.function = 0x8000'0001, .ecx = 1u << 2},
    {.function = 0x8000'0002},
    {.function = 0x8000'0003},
    {.function = 0x8000'0004},
    {.function = 0x8000'0008, .eax = 0x3030, .ecx = 0x400f},
    {.function = 0x8000'000a, .eax = 1},
    {.function = 0x8000'001e, .eax = 7, .ebx = 0x103, .ecx = 0x100},
};

std::optional<CpuidEntry> find(const CpuidTable& table, std::uint32_t function, std::uint32_t index = 0) {
    const auto entry = std::ranges::find_if(
        table, [=](const CpuidEntry& e) { return e.function == function && e.index == index; });
    if (entry == table.end()) return std::nullopt;
    return *entry;
}

TEST(Cpuid, EveryVcpuHasItsOwnApicIdInEveryLeafThatTellsIt) {
    for (std::uint32_t id : {0u, 1u, 5u}) {
        const CpuidTable table = cpuid_for_vcpu(host, id, {.cpus = 6});
        EXPECT_EQ(find(table, 1)->ebx >> 24, id);
        EXPECT_EQ(find(table, 0xb, 0)->edx, id);
        EXPECT_EQ(find(table, 0xb, 1)->edx, id);
        EXPECT_EQ(find(table, 0x8000'001e)->eax, id);
        EXPECT_EQ(find(table, 0x8000'001e)->ebx, id) << "one thread a core";
    }
}

TEST(Cpuid, CoresOfOnePackage) {
    const CpuidTable table = cpuid_for_vcpu(host, 0, {.cpus = 6});
    EXPECT_EQ((find(table, 1)->ebx >> 16) & 0xff, 8u) << "addressable ids: the next power of two";
    EXPECT_NE(find(table, 1)->edx & (1u << 28), 0u);
    EXPECT_EQ(find(table, 0xb, 0)->eax, 0u);
    EXPECT_EQ(find(table, 0xb, 0)->ebx, 1u);
    EXPECT_EQ(find(table, 0xb, 1)->eax, 3u);
    EXPECT_EQ(find(table, 0xb, 1)->ebx, 6u);
    EXPECT_EQ(find(table, 0xb, 1)->ecx, 0x201u);
    EXPECT_EQ(find(table, 0x8000'0008)->ecx & 0xff, 5u);
    EXPECT_EQ((find(table, 0x8000'0008)->ecx >> 12) & 0xf, 3u);
    EXPECT_EQ((find(table, 4, 0)->eax >> 14) & 0xfff, 0u) << "no core shares another's L1";
    EXPECT_EQ((find(table, 4, 3)->eax >> 14) & 0xfff, 7u);
    EXPECT_EQ(find(table, 4, 0)->eax & 0x3fff, 0x0121u) << "kind and level stay";
}

TEST(Cpuid, OneCpuIsNotMultithreaded) {
    const CpuidTable table = cpuid_for_vcpu(host, 0, {.cpus = 1});
    EXPECT_EQ(find(table, 1)->edx & (1u << 28), 0u);
    EXPECT_EQ((find(table, 1)->ebx >> 16) & 0xff, 1u);
    EXPECT_EQ(find(table, 0xb, 1)->eax, 0u);
}

TEST(Cpuid, HypervisorIsToldAndNestingIsNot) {
    const CpuidTable table = cpuid_for_vcpu(host, 0, {.cpus = 2});
    EXPECT_NE(find(table, 1)->ecx & (1u << 31), 0u);
    EXPECT_EQ(find(table, 1)->ecx & (1u << 5), 0u) << "VMX";
    EXPECT_EQ(find(table, 0x8000'0001)->ecx & (1u << 2), 0u) << "SVM";
    EXPECT_FALSE(find(table, 0x8000'000a)) << "SVM's details";
}

TEST(Cpuid, TscFrequencyAndDeadlineTimer) {
    const CpuidTable with = cpuid_for_vcpu(host, 0, {.cpus = 1, .tsc_khz = 2'096'000, .tsc_deadline = true});
    EXPECT_EQ(find(with, 0x4000'0000)->eax, 0x4000'0010u);
    EXPECT_EQ(find(with, 0x4000'0010)->eax, 2'096'000u);
    EXPECT_NE(find(with, 1)->ecx & (1u << 24), 0u);
    const CpuidTable without = cpuid_for_vcpu(host, 0, {.cpus = 1});
    EXPECT_EQ(find(without, 0x4000'0000)->eax, 0x4000'0001u);
    EXPECT_FALSE(find(without, 0x4000'0010));
    EXPECT_EQ(find(without, 1)->ecx & (1u << 24), 0u);
}

TEST(Cpuid, TheProcessorsNameIsTold) {
    CpuBrand brand;
    for (std::uint32_t i = 0; i < brand.size(); ++i) brand[i] = 100 + i;
    const CpuidTable table = cpuid_for_vcpu(host, 0, {.cpus = 1, .brand = brand});
    EXPECT_EQ(find(table, 0x8000'0002)->eax, 100u);
    EXPECT_EQ(find(table, 0x8000'0003)->ebx, 105u);
    EXPECT_EQ(find(table, 0x8000'0004)->edx, 111u);
    EXPECT_EQ(find(table, 0x8000'0001)->ecx & ~6u, 0u) << "and in no other leaf";
    EXPECT_NE(host_cpu_brand(), CpuBrand{});
}

TEST(Cpuid, SixtyFourCpusFit) {
    const CpuidTable table = cpuid_for_vcpu(host, 63, {.cpus = 64});
    EXPECT_EQ(find(table, 1)->ebx >> 24, 63u);
    EXPECT_EQ((find(table, 1)->ebx >> 16) & 0xff, 64u);
    EXPECT_EQ(find(table, 0xb, 1)->eax, 6u);
}

}  // namespace
}  // namespace exo::vmm
