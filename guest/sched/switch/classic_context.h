#pragma once

#include "guest/sched/switch/context_entry.h"

namespace exo::guest {

/// The classic switch, baseline of the windowed one: all fifteen general registers and the flags, 128 bytes,
/// saved on the stack, and a return at the end.
struct ClassicContext {
    void* stack_pointer = nullptr;

    static ClassicContext starting_at(detail::StartFrame* frame);
};

namespace detail {
extern "C" void* exo_switch_classic(ClassicContext* from, const ClassicContext* to, void* value);
}

/// Like switch_context() of a WindowedContext, by a call.
inline void* switch_context(ClassicContext& from, const ClassicContext& to, void* value = nullptr) {
    return detail::exo_switch_classic(&from, &to, value);
}

}  // namespace exo::guest
