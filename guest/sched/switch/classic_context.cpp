#include "guest/sched/switch/classic_context.h"

namespace exo::guest {
namespace {

/// What exo_switch_classic() pops, lowest address first.
struct ClassicFrame {
    std::uint64_t general_registers[15];
    std::uint64_t flags;
    void (*resume_address)();
};
static_assert(sizeof(ClassicFrame) == 128 + sizeof(void*));

/// As the ABI wants them at a function's entry (nothing but the reserved bit 1), interrupts as they are.
std::uint64_t initial_flags() {
    constexpr std::uint64_t interrupt_enable = 1 << 9;
    std::uint64_t flags;
    asm volatile("pushfq; popq %0" : "=r"(flags));
    return (flags & interrupt_enable) | 2;
}

}  // namespace

ClassicContext ClassicContext::starting_at(detail::StartFrame* frame) {
    void* const place = reinterpret_cast<std::byte*>(frame) - sizeof(ClassicFrame);
    return {new (place) ClassicFrame{{}, initial_flags(), detail::exo_context_start}};
}

}  // namespace exo::guest

// The value replaces the saved RAX of the context that continues, and so becomes its result.
asm(R"(
    .pushsection .text
    .globl exo_switch_classic
    .type exo_switch_classic, @function
    .balign 64
exo_switch_classic:
    pushfq
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq (%rsi), %rsp
    movq %rdx, 112(%rsp)
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    popfq
    retq
    .size exo_switch_classic, . - exo_switch_classic
    .popsection
)");
