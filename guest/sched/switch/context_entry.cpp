#include "guest/sched/switch/context_entry.h"

// The undefined return address tells debuggers and unwinders that this is the outermost frame; the zero frame
// pointer tells those that follow frame pointers. Should the entry return, the trap names this symbol.
asm(R"(
    .pushsection .text
    .globl exo_context_start
    .type exo_context_start, @function
exo_context_start:
    .cfi_startproc
    .cfi_undefined rip
    popq %rdi
    movq %rax, %rsi
    popq %rcx
    xorl %ebp, %ebp
    callq *%rcx
    ud2
    .cfi_endproc
    .size exo_context_start, . - exo_context_start
    .popsection
)");
