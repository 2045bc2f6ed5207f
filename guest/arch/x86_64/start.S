// The kernel's entry (see shared/boot/boot_info.h): RDI = BootInfo as the direct map shows it, interrupts off,
// first page tables. It runs on a small stack of its own until memory is managed.
    .section .text.start, "ax"
    .globl exo_start
    .type exo_start, @function
exo_start:
    cld
    leaq exo_boot_stack_top(%rip), %rsp
    xorl %ebp, %ebp                 // ends backtraces
    call exo_kernel_start
    ud2
    .size exo_start, . - exo_start

// void exo_continue_on_stack(void* top, void (*next)()): leaves the present stack for good.
    .text
    .globl exo_continue_on_stack
    .type exo_continue_on_stack, @function
exo_continue_on_stack:
    movq %rdi, %rsp
    xorl %ebp, %ebp
    call *%rsi
    ud2
    .size exo_continue_on_stack, . - exo_continue_on_stack

    .bss
    .balign 4096
    .skip 32768
    .globl exo_boot_stack_top
exo_boot_stack_top:

    .section .note.GNU-stack, "", @progbits
