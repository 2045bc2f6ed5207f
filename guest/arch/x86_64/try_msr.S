# Model-specific registers that may not be there: the processor refuses by a general protection fault, whose
# handler goes on at exo_msr_refused (exception.cpp). Both give 1 in eax, or 0 when it refused.

.section .text.exo_try_msr, "ax", @progbits

# index in edi, where the value goes in rsi
.global exo_try_rdmsr
exo_try_rdmsr:
    mov %edi, %ecx
.global exo_rdmsr_that_may_fault
exo_rdmsr_that_may_fault:
    rdmsr
    mov %eax, (%rsi)
    mov %edx, 4(%rsi)
    mov $1, %eax
    ret

# index in edi, value in rsi
.global exo_try_wrmsr
exo_try_wrmsr:
    mov %edi, %ecx
    mov %esi, %eax
    mov %rsi, %rdx
    shr $32, %rdx
.global exo_wrmsr_that_may_fault
exo_wrmsr_that_may_fault:
    wrmsr
    mov $1, %eax
    ret

.global exo_msr_refused
exo_msr_refused:
    xor %eax, %eax
    ret
