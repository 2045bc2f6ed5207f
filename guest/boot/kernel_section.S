// The kernel, as it stands on disk, in a section of the loader's image.
    .section .kernel, "dr"
    .globl exo_kernel_elf_start, exo_kernel_elf_end
    .balign 4096
exo_kernel_elf_start:
    .incbin EXO_KERNEL_ELF
exo_kernel_elf_end:
    .balign 8
