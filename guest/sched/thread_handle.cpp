#include "guest/sched/thread_handle.h"

#include "guest/kernel/panic.h"
#include "guest/sched/scheduler.h"

namespace exo::guest {

std::optional<int> ThreadHandle::join_until(std::uint64_t deadline_ns) {
    if (thread_ == nullptr) panic("thread: joined twice, or after it was detached");
    if (thread_ == Thread::current()) panic("thread {}: it joins itself", thread_->name());
    {
        const Locked guard(thread_->joiners_);
        if (!thread_->ended_ && !thread_->joiners_.wait(deadline_ns)) return std::nullopt;
    }
    const int status = thread_->exit_status_;
    detach();
    return status;
}

void ThreadHandle::detach() {
    Thread& thread = *std::exchange(thread_, nullptr);
    if (Scheduler::disown(thread)) thread.scheduler().destroy(thread);
}

}  // namespace exo::guest
