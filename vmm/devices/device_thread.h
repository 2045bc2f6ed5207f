#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "vmm/base/error.h"
#include "vmm/base/event_fd.h"
#include "vmm/base/file_descriptor.h"
#include "vmm/devices/queue_device.h"

namespace exo::vmm {

/// The I/O thread of one device: waits for doorbells and completions and has the device serve them.
class DeviceThread {
  public:
    /// `name` is what the host shows for the thread; 15 characters of it count.
    static Result<std::unique_ptr<DeviceThread>> create(QueueDevice& device, std::string name);
    /// Stops.
    ~DeviceThread();
    DeviceThread(const DeviceThread&) = delete;
    DeviceThread& operator=(const DeviceThread&) = delete;

    Result<void> start();

    /// Waits until no work is under way any more, which takes as long as the host's storage takes: after that
    /// the device touches no guest memory, and is reset. Then start() may be called again.
    void stop();

  private:
    DeviceThread(QueueDevice& device, std::string name, FileDescriptor waiter, EventFd stop);
    Result<void> watch(int fd) const;
    void run() const;
    void wait() const;
    void quiesce() const;

    QueueDevice& device_;
    std::string name_;
    FileDescriptor waiter_;  // an epoll instance
    EventFd stop_;
    std::atomic<bool> stopping_ = false;
    std::thread thread_;
};

}  // namespace exo::vmm
