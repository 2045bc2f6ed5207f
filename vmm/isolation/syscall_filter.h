#pragma once

#include "vmm/base/error.h"
#include "vmm/base/thread_kind.h"

namespace exo::vmm {

/// Filters of system calls (seccomp(2)): what a guest that has broken into a thread of vmm may ask of the
/// host's kernel. A call outside of its filter ends the process by SIGSYS. What a thread is once denied stays
/// denied, and a thread's own filter counts beside the process's.

/// What the whole process keeps, from now on: every thread it has, and will have. For after set-up: disks are
/// open, and no program is started any more.
/// @param network  a disk lies on a server, to which it may have to connect again
Result<void> confine_process(bool network);

/// What the calling thread keeps of that.
Result<void> confine_thread(ThreadKind kind);

/// Has a call that a filter denies told on standard error, with the thread's name, before the process ends.
/// @param restore  called before, on the thread that broke the rule, in a signal handler; may be null
void report_denied_calls(void (*restore)());

}  // namespace exo::vmm
