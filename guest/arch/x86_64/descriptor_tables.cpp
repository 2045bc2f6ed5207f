#include "guest/arch/x86_64/descriptor_tables.h"

#include "guest/arch/x86_64/cpu.h"

extern "C" const char exo_interrupt_entries[];

namespace exo::guest::arch {
namespace {

constexpr std::uint16_t code_selector = 0x08, data_selector = 0x10, task_selector = 0x18;
constexpr unsigned vectors = 256;

struct Gate {
    std::uint16_t offset_low;
    std::uint16_t selector;
    std::uint8_t stack;
    std::uint8_t type;
    std::uint16_t offset_middle;
    std::uint32_t offset_high;
    std::uint32_t reserved;
};
static_assert(sizeof(Gate) == 16);

struct [[gnu::packed]] TablePointer {
    std::uint16_t limit;
    std::uint64_t base;
};

constinit Gate gates[vectors] = {};

std::uint8_t stack_for(unsigned vector) {
    constexpr unsigned nmi = 2, double_fault = 8, machine_check = 18;
    switch (vector) {
        case nmi:
            return static_cast<std::uint8_t>(InterruptStack::nmi);
        case double_fault:
            return static_cast<std::uint8_t>(InterruptStack::double_fault);
        case machine_check:
            return static_cast<std::uint8_t>(InterruptStack::machine_check);
        default:
            return 0;
    }
}

}  // namespace

void fill_interrupt_table() {
    constexpr std::uint8_t interrupt_gate = 0x8e;
    for (unsigned vector = 0; vector < vectors; ++vector) {
        const auto entry =
            reinterpret_cast<std::uintptr_t>(exo_interrupt_entries) + vector * std::uintptr_t{16};
        gates[vector] = {.offset_low = static_cast<std::uint16_t>(entry),
                         .selector = code_selector,
                         .stack = stack_for(vector),
                         .type = interrupt_gate,
                         .offset_middle = static_cast<std::uint16_t>(entry >> 16),
                         .offset_high = static_cast<std::uint32_t>(entry >> 32),
                         .reserved = 0};
    }
}

void DescriptorTables::fill_segments() {
    constexpr std::uint64_t present_task = 0x0000'8900'0000'0000;
    const auto base = reinterpret_cast<std::uint64_t>(&task_);
    task_.io_map = sizeof(TaskState);
    segments_[code_selector / 8] = 0x00af'9b00'0000'ffff;  // 64-bit, ring 0
    segments_[data_selector / 8] = 0x00cf'9300'0000'ffff;  // ring 0
    segments_[task_selector / 8] =
        present_task | (sizeof(TaskState) - 1) | (base & 0xff'ffff) << 16 | (base >> 24 & 0xff) << 56;
    segments_[task_selector / 8 + 1] = base >> 32;
}

void DescriptorTables::load(std::uint64_t gs_base) {
    fill_segments();
    const TablePointer segment_table{sizeof(segments_) - 1, reinterpret_cast<std::uint64_t>(segments_)};
    const TablePointer interrupt_table{sizeof(gates) - 1, reinterpret_cast<std::uint64_t>(gates)};
    asm volatile(
        "lgdt %[segments]\n"
        "pushq %[code]\n"
        "leaq 1f(%%rip), %%rax\n"
        "pushq %%rax\n"
        "lretq\n"
        "1:\n"
        "movl %[data], %%eax\n"
        "movl %%eax, %%ds\n"
        "movl %%eax, %%es\n"
        "movl %%eax, %%ss\n"
        "xorl %%eax, %%eax\n"
        "movl %%eax, %%fs\n"
        "movl %%eax, %%gs\n"
        "ltr %[task]\n"
        :
        : [segments] "m"(segment_table), [code] "i"(code_selector), [data] "i"(data_selector),
          [task] "r"(task_selector)
        : "rax", "memory");
    wrmsr(msr::gs_base, gs_base);
    asm volatile("lidt %0" : : "m"(interrupt_table) : "memory");
}

}  // namespace exo::guest::arch
