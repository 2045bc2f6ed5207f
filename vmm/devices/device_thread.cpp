#include "vmm/devices/device_thread.h"

#include <pthread.h>
#include <sys/epoll.h>

#include <array>
#include <system_error>

namespace exo::vmm {

Result<std::unique_ptr<DeviceThread>> DeviceThread::create(QueueDevice& device, const Clock& clock,
                                                           std::string name) {
    FileDescriptor waiter(::epoll_create1(EPOLL_CLOEXEC));
    if (!waiter) return fail_errno("I/O thread of " + name, errno);
    auto stop = EventFd::create();
    if (!stop) return std::unexpected(stop.error());
    auto timer = TimerFd::create();
    if (!timer) return std::unexpected(timer.error());
    std::unique_ptr<DeviceThread> thread(new DeviceThread(device, clock, std::move(name), std::move(waiter),
                                                          std::move(*stop), std::move(*timer)));
    auto watched = thread->watch(thread->stop_.get());
    if (watched) watched = thread->watch(thread->timer_.get());
    if (watched && device.completion_fd() >= 0) watched = thread->watch(device.completion_fd());
    for (std::uint32_t queue = 0; watched && queue < device.queue_count(); ++queue)
        watched = thread->watch(device.doorbell_fd(queue));
    if (!watched) return std::unexpected(watched.error());
    return thread;
}

DeviceThread::DeviceThread(QueueDevice& device, const Clock& clock, std::string name, FileDescriptor waiter,
                           EventFd stop, TimerFd timer)
    : device_(device),
      clock_(clock),
      name_(std::move(name)),
      waiter_(std::move(waiter)),
      stop_(std::move(stop)),
      timer_(std::move(timer)) {}

DeviceThread::~DeviceThread() {
    stop();
}

/// Edge-triggered: each signal wakes the thread once and nobody has to read the descriptor, which saves a
/// system call for each doorbell.
Result<void> DeviceThread::watch(int fd) const {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    if (::epoll_ctl(waiter_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
    return fail_errno("I/O thread of " + name_, errno);
}

Result<void> DeviceThread::start() {
    stopping_ = false;
    try {
        thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& error) {
        return fail("I/O thread of " + name_, error.what(), "raise the limit of processes (ulimit -u)");
    }
    ::pthread_setname_np(thread_.native_handle(), name_.substr(0, 15).c_str());
    return {};
}

void DeviceThread::stop() {
    if (!thread_.joinable()) return;
    stopping_ = true;
    stop_.signal();
    thread_.join();
}

void DeviceThread::pause() {
    reset_ = false;
    stop();
    reset_ = true;
}

void DeviceThread::run() const {
    while (!stopping_) {
        while (device_.service() && !stopping_) continue;
        if (!stopping_) wait();
    }
    quiesce();
}

void DeviceThread::quiesce() const {
    if (reset_) device_.reset();
    for (;;) {
        while (device_.service()) continue;
        if (device_.quiescent()) return;
        wait();
    }
}

void DeviceThread::wait() const {
    // A timer that was set for a deadline before may end the wait for nothing.
    if (const Deadline deadline = device_.deadline()) timer_.set(*deadline - clock_.now());
    std::array<epoll_event, 8> events;
    static_cast<void>(::epoll_wait(waiter_.get(), events.data(), static_cast<int>(events.size()), -1));
}

}  // namespace exo::vmm
