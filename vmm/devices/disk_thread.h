#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "vmm/base/error.h"
#include "vmm/base/event_fd.h"
#include "vmm/base/file_descriptor.h"
#include "vmm/devices/fusion_blk.h"

namespace exo::vmm {

/// The I/O thread of one disk: waits for doorbells and completions and has the device serve them.
class DiskThread {
  public:
    /// `name` is what the host shows for the thread; 15 characters of it count.
    static Result<std::unique_ptr<DiskThread>> create(FusionBlk& device, std::string name);
    /// Stops.
    ~DiskThread();
    DiskThread(const DiskThread&) = delete;
    DiskThread& operator=(const DiskThread&) = delete;

    Result<void> start();

    /// Waits until no request is in the disk any more, which takes as long as the host's storage takes: after
    /// that the device touches no guest memory, and is reset. Then start() may be called again.
    void stop();

  private:
    DiskThread(FusionBlk& device, std::string name, FileDescriptor waiter, EventFd stop);
    Result<void> watch(int fd) const;
    void run() const;
    void wait() const;
    void quiesce() const;

    FusionBlk& device_;
    std::string name_;
    FileDescriptor waiter_;  // an epoll instance
    EventFd stop_;
    std::atomic<bool> stopping_ = false;
    std::thread thread_;
};

}  // namespace exo::vmm
