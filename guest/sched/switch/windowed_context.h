#pragma once

#include "guest/sched/switch/context_entry.h"

// The switch pushes where the compiler may otherwise keep a leaf function's variables, and nothing tells it.
#ifndef EXO_NO_RED_ZONE
#error "Link the CMake target exo_no_red_zone: code that inlines a context switch needs -mno-red-zone."
#endif

namespace exo::guest {

/// A thread of control that is not running, of which only two registers are left: whatever else was live, the
/// compiler has spilled around the switch, because the switch declares it lost.
struct WindowedContext {
    void* stack_pointer = nullptr;
    void* resume_address = nullptr;

    static WindowedContext starting_at(detail::StartFrame* frame) {
        return {frame, reinterpret_cast<void*>(detail::exo_context_start)};
    }
};
static_assert(sizeof(WindowedContext) == 16);

// Registers the switch loses beyond the general ones, as far as the compiler knows them at all.
#ifdef __SSE__
#define EXO_LOST_SSE                                                                                    \
    , "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", \
        "xmm12", "xmm13", "xmm14", "xmm15"
#else
#define EXO_LOST_SSE
#endif
#ifdef __AVX512F__
#define EXO_LOST_AVX512                                                                                  \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", \
        "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define EXO_LOST_AVX512
#endif

/// Leaves the running context in `from` and continues `to`. Returns when something switches back to `from`,
/// with the value it passed: threads use that to finish the hand-over on behalf of the one that left.
///
/// The caller's registers are lost but for the stack and the frame pointer, so this costs most where most is
/// live. RBP is saved by hand: GCC refuses it as a clobber, and clang takes it and miscompiles where it is
/// the frame pointer. It resumes by an indirect jump, which the branch predictor knows; a return would always
/// be mispredicted, since the return stack belongs to the context that left.
///
/// Neither the flags of the processor nor MXCSR nor the x87 control word are switched (see simd_state.h), and
/// the compiler may keep the address of a thread_local variable across it: code that uses one after a switch
/// reads it in a function that is not inlined.
[[gnu::always_inline]] inline void* switch_context(WindowedContext& from, const WindowedContext& to,
                                                   void* value = nullptr) {
    WindowedContext* leaving = &from;
    const WindowedContext* coming = &to;
    asm volatile(
        "pushq %%rbp\n\t"
        "leaq 1f(%%rip), %%rcx\n\t"
        "movq %%rsp, (%[leaving])\n\t"
        "movq %%rcx, 8(%[leaving])\n\t"
        "movq (%[coming]), %%rsp\n\t"
        "jmpq *8(%[coming])\n"
        "1:\n\t"
        "popq %%rbp"
        : [leaving] "+D"(leaving), [coming] "+S"(coming), "+a"(value)
        :
        : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc", "st",
          "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)" EXO_LOST_SSE EXO_LOST_AVX512);
    return value;
}

#undef EXO_LOST_SSE
#undef EXO_LOST_AVX512

}  // namespace exo::guest
