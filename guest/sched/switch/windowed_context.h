#pragma once

#include "guest/sched/switch/context_entry.h"
#include "guest/sched/switch/vector_clobbers.h"

// The switch pushes where the compiler may otherwise keep a leaf function's variables, and nothing tells it.
// The same target forbids alloca() and variable-length arrays: together with over-aligned variables they make
// clang address a frame by RBX, and it does not always see that the switch loses it (clang 19, internal
// linkage).
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

/// Leaves the running context in `from` and continues `to`. Returns when something switches back to `from`,
/// with the value it passed: threads use that to finish the hand-over on behalf of the one that left.
///
/// The caller's registers are lost but for the stack and the frame pointer, so this costs most where most is
/// live. RBP is saved by hand: GCC refuses it as a clobber, and clang takes it and miscompiles where it is
/// the frame pointer. It resumes by an indirect jump, which the branch predictor knows; a
/// return would always be mispredicted, since the return stack belongs to the context that left.
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
        : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc",
          EXO_VECTOR_CLOBBERS);
    return value;
}

}  // namespace exo::guest
