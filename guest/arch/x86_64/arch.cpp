#include "guest/arch/arch.h"

#include "guest/arch/x86_64/cpu.h"
#include "shared/boot/boot_info.h"

namespace exo::guest::arch {
namespace {

constexpr std::uint64_t interrupt_flag = 1u << 9;

std::uint64_t read_flags() {
    std::uint64_t flags;
    asm volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
    return flags;
}

}  // namespace

void pause() {
    asm volatile("pause" : : : "memory");
}
std::uint64_t timestamp() {
    return rdtsc();
}

bool interrupts_enabled() {
    return (read_flags() & interrupt_flag) != 0;
}
void enable_interrupts() {
    asm volatile("sti" : : : "memory");
}
void disable_interrupts() {
    asm volatile("cli" : : : "memory");
}

std::byte* memory_at(std::uint64_t physical) {
    return reinterpret_cast<std::byte*>(boot::direct_map_base + physical);
}

void halt() {
    while (true) asm volatile("cli; hlt" : : : "memory");
}

void triple_fault() {
    // Without an interrupt table, the exception cannot be delivered, nor the double fault that follows it.
    const struct [[gnu::packed]] {
        std::uint16_t limit;
        std::uint64_t base;
    } none{0, 0};
    asm volatile("lidt %0; ud2" : : "m"(none) : "memory");
    halt();
}

}  // namespace exo::guest::arch
