#include "vmm/storage/limited_disk.h"

#include <algorithm>
#include <cerrno>

namespace exo::vmm {
namespace {

/// Bytes that move; discarded and zeroed ranges count as operations only.
std::uint64_t bytes_of(const DiskRequest& request) {
    std::uint64_t bytes = 0;
    for (const iovec& segment : request.segments) bytes += segment.iov_len;
    return bytes;
}

}  // namespace

bool LimitedDisk::may_start(std::chrono::nanoseconds now) const {
    return operations_.ready_at() <= now && bytes_.ready_at() <= now;
}

void LimitedDisk::pay(const DiskRequest& request, std::chrono::nanoseconds now) {
    operations_.take(1, now);
    bytes_.take(bytes_of(request), now);
}

void LimitedDisk::submit(std::span<const DiskRequest> requests) {
    const auto now = clock_.now();
    std::size_t started = 0;
    while (waiting_.empty() && started < requests.size() && may_start(now)) pay(requests[started++], now);
    if (started > 0) disk_.submit(requests.first(started));
    for (const DiskRequest& request : requests.subspan(started)) {
        waiting_.push_back({request, {request.segments.begin(), request.segments.end()}});
        ++delayed_;
    }
}

void LimitedDisk::start_waiting() {
    const auto now = clock_.now();
    while (!waiting_.empty() && may_start(now)) {
        Waiting& first = waiting_.front();
        first.request.segments = first.segments;
        pay(first.request, now);
        disk_.submit({&first.request, 1});
        waiting_.pop_front();
    }
}

std::size_t LimitedDisk::reap(std::span<DiskCompletion> completions) {
    start_waiting();
    std::size_t count = 0;
    for (; count < completions.size() && !cancelled_.empty(); ++count) {
        completions[count] = {.cookie = cancelled_.front(), .error = ECANCELED};
        cancelled_.pop_front();
    }
    return count + disk_.reap(completions.subspan(count));
}

Deadline LimitedDisk::deadline() const {
    if (waiting_.empty()) return {};
    return std::max(operations_.ready_at(), bytes_.ready_at());
}

void LimitedDisk::cancel() {
    for (const Waiting& waiting : waiting_) cancelled_.push_back(waiting.request.cookie);
    waiting_.clear();
}

}  // namespace exo::vmm
