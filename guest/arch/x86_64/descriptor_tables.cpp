#include "guest/arch/x86_64/descriptor_tables.h"

#include <cstddef>

extern "C" const char exo_interrupt_entries[];

namespace exo::guest::arch {
namespace {

constexpr std::uint16_t code_selector = 0x08, data_selector = 0x10, task_selector = 0x18;
constexpr unsigned vectors = 256;

/// 64-bit task state (Intel SDM volume 3, 8.7): only its stacks are used.
struct [[gnu::packed]] TaskState {
    std::uint32_t reserved_0 = 0;
    std::uint64_t privilege_stacks[3] = {};
    std::uint64_t reserved_1 = 0;
    std::uint64_t interrupt_stacks[7] = {};
    std::uint64_t reserved_2 = 0;
    std::uint16_t reserved_3 = 0;
    std::uint16_t io_map = sizeof(TaskState);
};
static_assert(sizeof(TaskState) == 104);

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

constinit TaskState task;
constinit std::uint64_t segments[5] = {
    0,
    0x00af'9b00'0000'ffff,  // 64-bit code, ring 0
    0x00cf'9300'0000'ffff,  // data, ring 0
    0,
    0,  // task state, filled in at run time
};
constinit Gate gates[vectors] = {};
/// Until guarded ones are there.
alignas(16) constinit std::byte first_stacks[3][4096] = {};

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

void fill_gates() {
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

void fill_task_descriptor() {
    constexpr std::uint64_t present_task = 0x0000'8900'0000'0000;
    const auto base = reinterpret_cast<std::uint64_t>(&task);
    segments[3] =
        present_task | (sizeof(TaskState) - 1) | (base & 0xff'ffff) << 16 | (base >> 24 & 0xff) << 56;
    segments[4] = base >> 32;
}

}  // namespace

void set_interrupt_stack(InterruptStack stack, std::uintptr_t top) {
    task.interrupt_stacks[static_cast<unsigned>(stack) - 1] = top;
}

void load_descriptor_tables() {
    for (unsigned i = 0; i < 3; ++i)
        set_interrupt_stack(static_cast<InterruptStack>(i + 1),
                            reinterpret_cast<std::uintptr_t>(first_stacks[i] + sizeof(first_stacks[i])));
    fill_task_descriptor();
    fill_gates();
    const TablePointer segment_table{sizeof(segments) - 1, reinterpret_cast<std::uint64_t>(segments)};
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
        "lidt %[interrupts]\n"
        :
        : [segments] "m"(segment_table), [interrupts] "m"(interrupt_table), [code] "i"(code_selector),
          [data] "i"(data_selector), [task] "r"(task_selector)
        : "rax", "memory");
}

}  // namespace exo::guest::arch
