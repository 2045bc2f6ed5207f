#pragma once

#include <stdint.h>

/// The processor's instructions that C++ has no words for, one function each (Intel SDM volume 2). Only C
/// headers, because the loader includes it.
namespace exo::guest::arch {

struct CpuidResult {
    uint32_t eax, ebx, ecx, edx;
};

inline CpuidResult cpuid(uint32_t leaf, uint32_t subleaf = 0) {
    CpuidResult r;
    asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

inline uint64_t rdtsc() {
    uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return uint64_t{high} << 32 | low;
}

namespace msr {
inline constexpr uint32_t apic_base = 0x1b;
inline constexpr uint32_t tsc_deadline = 0x6e0;
inline constexpr uint32_t x2apic = 0x800;
inline constexpr uint32_t efer = 0xc000'0080;
inline constexpr uint32_t gs_base = 0xc000'0101;
inline constexpr uint64_t efer_long_mode_active = 1ull << 10;
inline constexpr uint64_t efer_no_execute = 1ull << 11;
}  // namespace msr

inline uint64_t rdmsr(uint32_t index) {
    uint32_t low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index) : "memory");
    return uint64_t{high} << 32 | low;
}
inline void wrmsr(uint32_t index, uint64_t value) {
    asm volatile("wrmsr"
                 :
                 : "c"(index), "a"(static_cast<uint32_t>(value)), "d"(static_cast<uint32_t>(value >> 32))
                 : "memory");
}

/// One access to a port, of the 1, 2 or 4 bytes that T has.
template <typename T>
T in(uint16_t port) {
    T value;
    asm volatile("in %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
template <typename T>
void out(uint16_t port, T value) {
    asm volatile("out %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

namespace cr0 {
inline constexpr uint64_t monitor_coprocessor = 1ull << 1;
inline constexpr uint64_t emulate_fpu = 1ull << 2;
inline constexpr uint64_t task_switched = 1ull << 3;
inline constexpr uint64_t numeric_error = 1ull << 5;
inline constexpr uint64_t write_protect = 1ull << 16;
}  // namespace cr0
namespace cr4 {
inline constexpr uint64_t global_pages = 1ull << 7;
inline constexpr uint64_t os_fxsr = 1ull << 9;
inline constexpr uint64_t os_simd_exceptions = 1ull << 10;
inline constexpr uint64_t os_xsave = 1ull << 18;
inline constexpr uint64_t umip = 1ull << 11;
inline constexpr uint64_t five_levels = 1ull << 12;
inline constexpr uint64_t smep = 1ull << 20;
inline constexpr uint64_t smap = 1ull << 21;
}  // namespace cr4

#define EXO_CONTROL_REGISTER(name)                                      \
    inline uint64_t read_##name() {                                     \
        uint64_t value;                                                 \
        asm volatile("mov %%" #name ", %0" : "=r"(value) : : "memory"); \
        return value;                                                   \
    }                                                                   \
    inline void write_##name(uint64_t value) {                          \
        asm volatile("mov %0, %%" #name : : "r"(value) : "memory");     \
    }
EXO_CONTROL_REGISTER(cr0)
EXO_CONTROL_REGISTER(cr2)
EXO_CONTROL_REGISTER(cr3)
EXO_CONTROL_REGISTER(cr4)
#undef EXO_CONTROL_REGISTER

/// This processor's local APIC's id, as CPUID tells before the APIC is reached.
inline uint32_t initial_apic_id() {
    if (cpuid(0).eax >= 0xb) {
        const CpuidResult topology = cpuid(0xb);
        if (topology.ebx != 0) return topology.edx;
    }
    return cpuid(1).ebx >> 24;
}

/// Drops this processor's cached translation of a page.
inline void invalidate_page(uint64_t address) {
    asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

inline uint64_t read_xcr0() {
    uint32_t low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t{high} << 32 | low;
}
inline void write_xcr0(uint64_t value) {
    asm volatile("xsetbv"
                 :
                 : "c"(0), "a"(static_cast<uint32_t>(value)), "d"(static_cast<uint32_t>(value >> 32)));
}

/// The host bridge's subsystem ids (PCI 00:00.0, register 0x2C), vendor in the low half, by configuration
/// mechanism 1: how our VMM is recognised before anything else is known.
inline uint32_t host_bridge_subsystem() {
    out<uint32_t>(0xcf8, 0x8000'002c);
    return in<uint32_t>(0xcfc);
}

inline bool has_1g_pages() {
    return cpuid(0x8000'0000).eax >= 0x8000'0001 && (cpuid(0x8000'0001).edx & 1u << 26) != 0;
}
inline bool has_no_execute() {
    return cpuid(0x8000'0000).eax >= 0x8000'0001 && (cpuid(0x8000'0001).edx & 1u << 20) != 0;
}

}  // namespace exo::guest::arch
