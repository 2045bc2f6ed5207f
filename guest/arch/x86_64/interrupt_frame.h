#pragma once

#include <cstdint>

namespace exo::guest::arch {

/// What interrupt_entry.S leaves on the stack: all general registers, then what the processor pushed.
struct InterruptFrame {
    std::uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    std::uint64_t vector;
    std::uint64_t error;  ///< 0 for vectors without an error code
    std::uint64_t rip, cs, rflags, rsp, ss;
};
static_assert(sizeof(InterruptFrame) == 22 * 8);

}  // namespace exo::guest::arch
