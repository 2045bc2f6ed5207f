#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/event_fd.h"
#include "vmm/base/file_descriptor.h"
#include "vmm/base/timer_fd.h"
#include "vmm/devices/poll_budget.h"
#include "vmm/devices/pollers.h"
#include "vmm/devices/queue_device.h"

namespace exo::vmm {

/// The I/O thread of one device: waits for doorbells and completions and has the device serve them.
class DeviceThread {
  public:
    /// @param clock    the device's; device, clock and pollers outlive the thread
    /// @param name     what the host shows for the thread; 15 characters of it count
    /// @param pollers  of the machine
    /// @param poll_cap how long it polls for work at most; 0 for never, none for what suits the host
    static Result<std::unique_ptr<DeviceThread>> create(QueueDevice& device, const Clock& clock,
                                                        std::string name, Pollers& pollers,
                                                        std::optional<std::chrono::nanoseconds> poll_cap);
    /// Stops.
    ~DeviceThread();
    DeviceThread(const DeviceThread&) = delete;
    DeviceThread& operator=(const DeviceThread&) = delete;

    /// @param first  what the thread does before all else; may be empty
    Result<void> start(std::function<void()> first = {});

    /// Waits until no work is under way any more, which takes as long as the host's storage takes: after that
    /// the device touches no guest memory, and is reset. Then start() may be called again.
    void stop();
    /// Carries out what the guest has submitted, and ends without a reset: then the device's whole state is
    /// in its registers and the guest's memory, until start(). While the guest does not run.
    void pause();

    /// After stop().
    const PollCounters& polls() const { return polls_; }

  private:
    enum class PollEnd : std::uint8_t { found, in_vain, gave_way, stopped };

    DeviceThread(QueueDevice& device, const Clock& clock, std::string name, Pollers& pollers,
                 FileDescriptor waiter, EventFd stop, TimerFd timer);
    std::chrono::nanoseconds measure_signal_cost() const;
    Result<void> watch(int fd) const;
    void run();
    std::chrono::nanoseconds poll(std::chrono::nanoseconds idle_since);
    bool serve_all() const;
    PollEnd poll_until(std::chrono::nanoseconds end);
    bool lost_cpu();
    void count(PollEnd end, std::chrono::nanoseconds time);
    void wait() const;
    void quiesce() const;

    QueueDevice& device_;
    const Clock& clock_;
    std::string name_;
    Pollers& pollers_;
    std::chrono::nanoseconds signal_cost_{0};
    PollBudget budget_{std::chrono::nanoseconds(0)};
    long switched_away_ = 0;  ///< how often, when it was looked at last
    PollCounters polls_;
    FileDescriptor waiter_;  // an epoll instance
    EventFd stop_;
    TimerFd timer_;
    std::atomic<bool> stopping_ = false;
    std::atomic<bool> reset_ = true;  ///< when it stops
    std::thread thread_;
};

}  // namespace exo::vmm
