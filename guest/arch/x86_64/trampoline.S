// The first code of a processor that is started: copied to a page below 1 MiB, whose number is in the start-up
// message. From real mode to long mode by the usual steps (Intel SDM volume 3, 9.8.5), then to the kernel, which
// fills in what is behind exo_trampoline_parameters (start_cpus.cpp has it as a struct).
    .section .rodata.trampoline, "a"
    .balign 16
    .globl exo_trampoline
exo_trampoline:
    .code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    xorl %ebx, %ebx
    movw %ax, %bx
    shll $4, %ebx                   // EBX = address of the page
    lgdtl (gdt_limit - exo_trampoline)
    movl $1, %eax                   // protected mode; caches on
    movl %eax, %cr0
    ljmpl *(protected_entry - exo_trampoline)

    .code32
protected:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0x20, %eax                // physical address extension, and no global pages yet
    movl %eax, %cr4
    movl (cr3 - exo_trampoline)(%ebx), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    movl (efer - exo_trampoline)(%ebx), %eax
    xorl %edx, %edx
    wrmsr
    movl (cr0 - exo_trampoline)(%ebx), %eax
    movl %eax, %cr0
    ljmpl *(long_entry - exo_trampoline)(%ebx)

    .code64
long_mode:
    movl %ebx, %ebx
    // Whoever comes too late finds that its place has been taken away.
    movq (processor_place - exo_trampoline)(%rbx), %rax
    xorl %edi, %edi
    xchgq %rdi, (%rax)
    testq %rdi, %rdi
    jz 1f
    movq (stack_top - exo_trampoline)(%rbx), %rsp
    movq (entry - exo_trampoline)(%rbx), %rax
    xorl %ebp, %ebp
    call *%rax
1:  cli
    hlt
    jmp 1b

    .balign 8
    .globl exo_trampoline_parameters
exo_trampoline_parameters:
cr3:                .quad 0
cr0:                .quad 0
efer:               .quad 0
processor_place:    .quad 0
stack_top:          .quad 0
entry:              .quad 0
// The addresses in the page that the processor needs in full: as offsets here, the page's address is added.
protected_entry:    .long protected - exo_trampoline
                    .long 0x08
long_entry:         .long long_mode - exo_trampoline
                    .long 0x18
gdt_base_limit:     .word 0
gdt_limit:          .word 4 * 8 - 1
gdt_base:           .long segments - exo_trampoline
    .balign 8
segments:
    .quad 0
    .quad 0x00cf9b000000ffff        // 32-bit code
    .quad 0x00cf93000000ffff        // data
    .quad 0x00af9b000000ffff        // 64-bit code
    .globl exo_trampoline_end
exo_trampoline_end:

    .section .note.GNU-stack, "", @progbits
