#include "tests/bench/switch/assembly_contexts.h"

namespace exo::bench {
namespace {

using guest::detail::exo_context_start;
using guest::detail::StartFrame;

template <class Frame>
void* push(StartFrame* frame, const Frame& pushed) {
    return new (reinterpret_cast<std::byte*>(frame) - sizeof(Frame)) Frame(pushed);
}

struct SixRegisters {
    std::uint64_t registers[6];
    void (*resume_address)();
};

struct InterruptedRegisters {
    std::uint64_t registers[15];
    void (*rip)();
    std::uint64_t cs, flags;
    void* rsp;
    std::uint64_t ss;
};

}  // namespace

SixRegisterContext SixRegisterContext::starting_at(StartFrame* frame) {
    return {push(frame, SixRegisters{{}, exo_context_start})};
}
SixRegisterRetContext SixRegisterRetContext::starting_at(StartFrame* frame) {
    return {push(frame, SixRegisters{{}, exo_context_start})};
}
ClassicIretContext ClassicIretContext::starting_at(StartFrame* frame) {
    std::uint64_t cs, ss;
    asm("movq %%cs, %0\n\tmovq %%ss, %1" : "=r"(cs), "=r"(ss));
    constexpr std::uint64_t flags = 0x202;
    return {push(frame, InterruptedRegisters{{}, exo_context_start, cs, flags, frame, ss})};
}

}  // namespace exo::bench

asm(R"(
    .pushsection .text
    .macro exo_exchange_six
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rdx, %rax
    movq %rsp, (%rdi)
    movq (%rsi), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    .endm

    .balign 64
    .globl exo_bench_switch_six
    .type exo_bench_switch_six, @function
exo_bench_switch_six:
    exo_exchange_six
    popq %rcx
    jmpq *%rcx

    .balign 64
    .globl exo_bench_switch_six_ret
    .type exo_bench_switch_six_ret, @function
exo_bench_switch_six_ret:
    exo_exchange_six
    retq

    .balign 64
    .globl exo_bench_switch_iret
    .type exo_bench_switch_iret, @function
exo_bench_switch_iret:
    popq %rcx
    movq %rsp, %r8
    movq %ss, %r9
    pushq %r9
    pushq %r8
    pushfq
    movq %cs, %r9
    pushq %r9
    pushq %rcx
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
    iretq
    .popsection
)");
