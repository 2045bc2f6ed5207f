// The UEFI application that stands in for the kernel until the firmware is done.
    .section .rodata, "a"
    .globl exo_chainloader_start, exo_chainloader_end
    .balign 16
exo_chainloader_start:
    .incbin EXO_CHAINLOADER
exo_chainloader_end:
    .section .note.GNU-stack, "", %progbits
