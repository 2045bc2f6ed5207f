#pragma once

#include "guest/sched/switch/context_entry.h"

namespace exo::guest {

/// A thread of control that is not running, with every register the System V ABI (x86-64 supplement, 3.2.1)
/// promises a caller to keep: for call sites that cannot declare registers lost, such as assembly and code
/// of other languages.
struct alignas(64) FullContext {
    void* stack_pointer = nullptr;
    void* resume_address = nullptr;
    void* rbp = nullptr;
    void* rbx = nullptr;
    void* r12 = nullptr;
    void* r13 = nullptr;
    void* r14 = nullptr;
    void* r15 = nullptr;

    static FullContext starting_at(detail::StartFrame* frame) {
        return {frame, reinterpret_cast<void*>(detail::exo_context_start)};
    }
};
static_assert(sizeof(FullContext) == 64);

namespace detail {
extern "C" void* exo_switch_full(FullContext* from, const FullContext* to, void* value);
}

/// Like switch_context() of a WindowedContext, by a call.
inline void* switch_context(FullContext& from, const FullContext& to, void* value = nullptr) {
    return detail::exo_switch_full(&from, &to, value);
}

}  // namespace exo::guest
