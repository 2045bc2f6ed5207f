#pragma once

#include <sys/eventfd.h>

#include <cstdint>

#include "vmm/base/error.h"
#include "vmm/base/file_descriptor.h"

namespace exo::vmm {

/// A counter that a thread can wait for with epoll and that KVM can raise (ioeventfd) or take (irqfd).
/// Never blocks: neither side can stop the other by not answering.
class EventFd {
  public:
    static Result<EventFd> create() {
        FileDescriptor fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!fd) return fail_errno("event descriptor", errno, "raise the limit of open files (ulimit -n)");
        return EventFd(std::move(fd));
    }

    int get() const { return fd_.get(); }

    /// Makes the descriptor readable. A counter at its maximum stays there: it is readable all the same.
    void signal() const { static_cast<void>(::eventfd_write(fd_.get(), 1)); }

    /// Makes it unreadable again; returns how many signals came since the last time.
    std::uint64_t drain() const {
        eventfd_t count = 0;
        return ::eventfd_read(fd_.get(), &count) == 0 ? count : 0;
    }

  private:
    explicit EventFd(FileDescriptor fd) : fd_(std::move(fd)) {}
    FileDescriptor fd_;
};

}  // namespace exo::vmm
