#pragma once

#include <sys/timerfd.h>

#include <algorithm>
#include <chrono>

#include "vmm/base/error.h"
#include "vmm/base/file_descriptor.h"

namespace exo::vmm {

/// A point in time that a thread can wait for with epoll.
class TimerFd {
  public:
    static Result<TimerFd> create() {
        FileDescriptor fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
        if (!fd) return fail_errno("timer", errno, "raise the limit of open files (ulimit -n)");
        return TimerFd(std::move(fd));
    }

    int get() const { return fd_.get(); }

    /// Becomes readable after that time, in place of what was set before. Time that has passed counts as
    /// none.
    void set(std::chrono::nanoseconds delay) const {
        using std::chrono::seconds;
        delay = std::max(delay, std::chrono::nanoseconds(1));  // 0 would be never
        const auto whole = std::chrono::duration_cast<seconds>(delay);
        const itimerspec when{.it_interval = {}, .it_value = {whole.count(), (delay - whole).count()}};
        static_cast<void>(::timerfd_settime(fd_.get(), 0, &when, nullptr));
    }

  private:
    explicit TimerFd(FileDescriptor fd) : fd_(std::move(fd)) {}
    FileDescriptor fd_;
};

}  // namespace exo::vmm
