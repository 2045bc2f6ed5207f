// The entry by which a VMM starts the kernel directly (shared/boot/pvh.h): 32-bit protected mode, flat segments, no
// paging, EBX = StartInfo. Goes to long mode on page tables that show the first GiB at its own address and in the
// direct map, and the image where it is linked; has exo_pvh_prepare build what the UEFI loader builds; and joins
// exo_start.

#define BASE 0xffffffff80000000
#define IMAGE 0x200000              /* as in kernel.ld */
#define PHYSICAL(symbol) (symbol - BASE + IMAGE)
#define PRESENT_WRITABLE 0x3
#define LARGE 0x80
#define PAE_AND_SSE 0x620           /* CR4: SSE on, as UEFI leaves it */
#define PAGING_AND_PROTECTION 0x80010033
#define EFER 0xc0000080
#define LONG_MODE 0x100

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18                  // sizes of name and descriptor, type
    .asciz "Xen"
    .quad PHYSICAL(exo_pvh_start)

    .section .text.start, "ax"
    .code32
    .globl exo_pvh_start
    .type exo_pvh_start, @function
exo_pvh_start:
    cli
    cld
    rdtsc
    movl %eax, %esi                 // EBP:ESI = time of entry
    movl %edx, %ebp
    movl $PHYSICAL(exo_boot_stack_top), %esp

    movl $PHYSICAL(low_directory), %edi
    movl $(PRESENT_WRITABLE | LARGE), %eax
    call fill_directory
    movl $PHYSICAL(image_directory), %edi
    movl $(IMAGE | PRESENT_WRITABLE | LARGE), %eax
    call fill_directory
    movl $(PHYSICAL(low_directory) + PRESENT_WRITABLE), PHYSICAL(pointers)
    movl $(PHYSICAL(image_directory) + PRESENT_WRITABLE), PHYSICAL(pointers) + 8 * 510
    movl $(PHYSICAL(pointers) + PRESENT_WRITABLE), %eax
    movl %eax, PHYSICAL(top)                // its own address
    movl %eax, PHYSICAL(top) + 8 * 256      // the direct map
    movl %eax, PHYSICAL(top) + 8 * 511      // the image

    movl $PAE_AND_SSE, %eax
    movl %eax, %cr4
    movl $PHYSICAL(top), %eax
    movl %eax, %cr3
    movl $EFER, %ecx
    rdmsr
    orl $LONG_MODE, %eax
    wrmsr
    movl $PAGING_AND_PROTECTION, %eax
    movl %eax, %cr0
    lgdt PHYSICAL(descriptors_pointer)
    ljmp $8, $PHYSICAL(in_long_mode)
    .size exo_pvh_start, . - exo_pvh_start

// 512 pages of 2 MiB into the directory at EDI; EAX is the first entry.
    .type fill_directory, @function
fill_directory:
    movl $512, %ecx
1:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 1b
    ret
    .size fill_directory, . - fill_directory

    .code64
in_long_mode:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movq $at_link_address, %rax
    jmp *%rax
at_link_address:
    leaq exo_boot_stack_top(%rip), %rsp
    movl %ebx, %edi
    shlq $32, %rbp
    orq %rbp, %rsi
    xorl %ebp, %ebp
    call exo_pvh_prepare
    movq %rax, %rdi
    jmp exo_start

    .section .rodata.pvh, "a"
    .balign 8
descriptors:
    .quad 0
    .quad 0x00af9b000000ffff        // code, 64 bits
    .quad 0x00cf93000000ffff        // data
descriptors_pointer:
    .word descriptors_pointer - descriptors - 1
    .long PHYSICAL(descriptors)

    .bss
    .balign 4096
top:
    .skip 4096
pointers:
    .skip 4096
low_directory:
    .skip 4096
image_directory:
    .skip 4096

    .section .note.GNU-stack, "", @progbits
