#pragma once

#if EXO_WINDOWED_CONTEXT_SWITCH
#include "guest/sched/switch/windowed_context.h"
#else
#include "guest/sched/switch/classic_context.h"
#endif

namespace exo::guest {

/// The form of context that threads are made of, chosen by the build switch EXO_WINDOWED_CONTEXT_SWITCH:
///
///     ThreadContext next = prepare_context<ThreadContext>(stack, entry, argument);
///     void* value = switch_context(current, next, to_pass);
#if EXO_WINDOWED_CONTEXT_SWITCH
using ThreadContext = WindowedContext;
#else
using ThreadContext = ClassicContext;
#endif

}  // namespace exo::guest
