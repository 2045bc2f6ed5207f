// Switches that are written in assembly to be compared: what others do, and what not to do.
#pragma once

#include <span>

#include "guest/sched/switch/context_entry.h"
#include "guest/sched/switch/vector_clobbers.h"

namespace exo::bench {

/// The callee-saved registers pushed, the stack exchanged, and popped again; the return address popped, too,
/// and jumped to. As libco and many others do it.
struct SixRegisterContext {
    void* stack_pointer = nullptr;
    static SixRegisterContext starting_at(guest::detail::StartFrame* frame);
};
extern "C" void* exo_bench_switch_six(SixRegisterContext* from, const SixRegisterContext* to, void* value);
inline void* switch_context(SixRegisterContext& from, const SixRegisterContext& to, void* value) {
    return exo_bench_switch_six(&from, &to, value);
}

/// The same with a return at its end.
struct SixRegisterRetContext {
    void* stack_pointer = nullptr;
    static SixRegisterRetContext starting_at(guest::detail::StartFrame* frame);
};
extern "C" void* exo_bench_switch_six_ret(SixRegisterRetContext* from, const SixRegisterRetContext* to,
                                          void* value);
inline void* switch_context(SixRegisterRetContext& from, const SixRegisterRetContext& to, void* value) {
    return exo_bench_switch_six_ret(&from, &to, value);
}

/// The windowed switch with a return at its end in place of the jump.
struct WindowedRetContext {
    void* stack_pointer = nullptr;
    void* resume_address = nullptr;
    static WindowedRetContext starting_at(guest::detail::StartFrame* frame) {
        return {frame, reinterpret_cast<void*>(guest::detail::exo_context_start)};
    }
};
[[gnu::always_inline]] inline void* switch_context(WindowedRetContext& from, const WindowedRetContext& to,
                                                   void* value) {
    WindowedRetContext* leaving = &from;
    const WindowedRetContext* coming = &to;
    asm volatile(
        "pushq %%rbp\n\t"
        "leaq 1f(%%rip), %%rcx\n\t"
        "movq %%rsp, (%[leaving])\n\t"
        "movq %%rcx, 8(%[leaving])\n\t"
        "movq (%[coming]), %%rsp\n\t"
        "pushq 8(%[coming])\n\t"
        "retq\n"
        "1:\n\t"
        "popq %%rbp"
        : [leaving] "+D"(leaving), [coming] "+S"(coming), "+a"(value)
        :
        : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc",
          EXO_VECTOR_CLOBBERS);
    return value;
}

/// The classic switch as an interrupt's end does it: fifteen registers and an IRETQ.
struct ClassicIretContext {
    void* stack_pointer = nullptr;
    static ClassicIretContext starting_at(guest::detail::StartFrame* frame);
};
extern "C" void* exo_bench_switch_iret(ClassicIretContext* from, const ClassicIretContext* to, void* value);
inline void* switch_context(ClassicIretContext& from, const ClassicIretContext& to, void* value) {
    return exo_bench_switch_iret(&from, &to, value);
}

}  // namespace exo::bench
