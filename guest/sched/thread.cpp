#include "guest/sched/thread.h"

#include <algorithm>

#include "guest/memory/kernel_memory.h"

namespace exo::guest {

Thread::Thread(Scheduler& scheduler, const ThreadOptions& options, std::uint32_t number, ThreadStack&& stack)
    : ScheduledThread(options.priority), scheduler_(scheduler), stack_(std::move(stack)) {
    ScheduledThread::id = number;
    timer_.sleeper = this;
    name_size_ = static_cast<std::uint8_t>(std::min(options.name.size(), longest_name));
    std::ranges::copy(options.name.substr(0, name_size_), name_.begin());
}

Thread::~Thread() {
    kernel_memory().heap.release_thread_cache(heap_cache_);
}

}  // namespace exo::guest
