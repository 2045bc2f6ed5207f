#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/event_fd.h"
#include "vmm/base/file_descriptor.h"
#include "vmm/base/timer_fd.h"
#include "vmm/devices/queue_device.h"

namespace exo::vmm {

/// The I/O thread of one device: waits for doorbells and completions and has the device serve them.
class DeviceThread {
  public:
    /// @param clock  the device's; both outlive the thread
    /// @param name   what the host shows for the thread; 15 characters of it count
    static Result<std::unique_ptr<DeviceThread>> create(QueueDevice& device, const Clock& clock,
                                                        std::string name);
    /// Stops.
    ~DeviceThread();
    DeviceThread(const DeviceThread&) = delete;
    DeviceThread& operator=(const DeviceThread&) = delete;

    Result<void> start();

    /// Waits until no work is under way any more, which takes as long as the host's storage takes: after that
    /// the device touches no guest memory, and is reset. Then start() may be called again.
    void stop();
    /// Carries out what the guest has submitted, and ends without a reset: then the device's whole state is
    /// in its registers and the guest's memory, until start(). While the guest does not run.
    void pause();

  private:
    DeviceThread(QueueDevice& device, const Clock& clock, std::string name, FileDescriptor waiter,
                 EventFd stop, TimerFd timer);
    Result<void> watch(int fd) const;
    void run() const;
    void wait() const;
    void quiesce() const;

    QueueDevice& device_;
    const Clock& clock_;
    std::string name_;
    FileDescriptor waiter_;  // an epoll instance
    EventFd stop_;
    TimerFd timer_;
    std::atomic<bool> stopping_ = false;
    std::atomic<bool> reset_ = true;  ///< when it stops
    std::thread thread_;
};

}  // namespace exo::vmm
