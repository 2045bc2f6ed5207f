#include "tests/bench/block/delayed_disk.h"

#include <array>

namespace exo::bench {

vmm::Result<std::unique_ptr<DelayedDisk>> DelayedDisk::create(vmm::MemoryDisk content,
                                                              std::chrono::nanoseconds delay) {
    auto timer = vmm::TimerFd::create();
    if (!timer) return std::unexpected(timer.error());
    return std::unique_ptr<DelayedDisk>(new DelayedDisk(std::move(content), delay, std::move(*timer)));
}

void DelayedDisk::submit(std::span<const vmm::DiskRequest> requests) {
    const std::chrono::nanoseconds due = clock_.now() + delay_.load(std::memory_order_relaxed);
    const bool idle = held_.empty();
    content_.submit(requests);
    std::array<vmm::DiskCompletion, 64> done;
    while (const std::size_t count = content_.reap(done))
        for (std::size_t i = 0; i < count; ++i) held_.push_back({done[i], due});
    if (idle && !held_.empty()) timer_.set(due - clock_.now());
}

std::size_t DelayedDisk::reap(std::span<vmm::DiskCompletion> completions) {
    if (held_.empty()) return 0;
    const std::chrono::nanoseconds now = clock_.now();
    std::size_t count = 0;
    while (count < completions.size() && !held_.empty() && held_.front().due <= now) {
        completions[count++] = held_.front().completion;
        held_.pop_front();
    }
    if (count > 0 && !held_.empty()) timer_.set(held_.front().due - now);
    return count;
}

}  // namespace exo::bench
