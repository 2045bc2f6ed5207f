#pragma once

#include <functional>

#include "guest/sched/scheduler.h"
#include "guest/sched/this_thread.h"

namespace exo::guest::test {

/// Runs `body` as the first thread of a scheduler on so many CPUs, and waits until everything has ended.
void run_threads(unsigned cpus, const std::function<void(Scheduler&)>& body,
                 PolicyKind policy = default_policy);

/// A thread that must exist.
template <class Body>
ThreadHandle must_spawn(Scheduler& scheduler, Body&& body, const ThreadOptions& options = {}) {
    auto thread = scheduler.spawn(options, std::forward<Body>(body));
    if (!thread) std::abort();
    return std::move(*thread);
}

}  // namespace exo::guest::test
