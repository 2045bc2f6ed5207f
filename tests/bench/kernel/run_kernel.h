#pragma once

#include <functional>

#include "guest/sched/scheduler.h"

namespace exo::bench {

/// Runs `body` as the first thread of a scheduler, and returns when all has ended. CPU 0 is this host thread,
/// which is pinned; a second one is kept off its CPU.
void run_kernel(unsigned cpus, guest::PolicyKind policy,
                const std::function<void(guest::Scheduler& scheduler)>& body);

}  // namespace exo::bench
