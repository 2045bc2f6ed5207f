#include "guest/sched/switch/full_context.h"

// Takes its return address off the stack into the context and resumes by a jump: a return would be
// mispredicted.
asm(R"(
    .pushsection .text
    .globl exo_switch_full
    .type exo_switch_full, @function
    .balign 64
exo_switch_full:
    .cfi_startproc
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register rip, rcx
    movq %rdx, %rax
    movq %rsp, (%rdi)
    movq %rcx, 8(%rdi)
    movq %rbp, 16(%rdi)
    movq %rbx, 24(%rdi)
    movq %r12, 32(%rdi)
    movq %r13, 40(%rdi)
    movq %r14, 48(%rdi)
    movq %r15, 56(%rdi)
    movq (%rsi), %rsp
    movq 8(%rsi), %rcx
    movq 16(%rsi), %rbp
    movq 24(%rsi), %rbx
    movq 32(%rsi), %r12
    movq 40(%rsi), %r13
    movq 48(%rsi), %r14
    movq 56(%rsi), %r15
    jmpq *%rcx
    .cfi_endproc
    .size exo_switch_full, . - exo_switch_full
    .popsection
)");
