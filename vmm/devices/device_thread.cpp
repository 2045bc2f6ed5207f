#include "vmm/devices/device_thread.h"

#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

namespace exo::vmm {

Result<std::unique_ptr<DeviceThread>> DeviceThread::create(QueueDevice& device, const Clock& clock,
                                                           std::string name, Pollers& pollers,
                                                           std::optional<std::chrono::nanoseconds> poll_cap) {
    FileDescriptor waiter(::epoll_create1(EPOLL_CLOEXEC));
    if (!waiter) return fail_errno("I/O thread of " + name, errno);
    auto stop = EventFd::create();
    if (!stop) return std::unexpected(stop.error());
    auto timer = TimerFd::create();
    if (!timer) return std::unexpected(timer.error());
    std::unique_ptr<DeviceThread> thread(new DeviceThread(
        device, clock, std::move(name), pollers, std::move(waiter), std::move(*stop), std::move(*timer)));
    auto watched = thread->watch(thread->stop_.get());
    if (watched) watched = thread->watch(thread->timer_.get());
    if (watched && device.completion_fd() >= 0) watched = thread->watch(device.completion_fd());
    for (std::uint32_t queue = 0; watched && queue < device.queue_count(); ++queue)
        watched = thread->watch(device.doorbell_fd(queue));
    if (!watched) return std::unexpected(watched.error());
    thread->signal_cost_ = thread->measure_signal_cost();
    if (pollers.may_poll())
        thread->budget_ = PollBudget(poll_cap.value_or(automatic_poll_cap(thread->signal_cost_)));
    return thread;
}

DeviceThread::DeviceThread(QueueDevice& device, const Clock& clock, std::string name, Pollers& pollers,
                           FileDescriptor waiter, EventFd stop, TimerFd timer)
    : device_(device),
      clock_(clock),
      name_(std::move(name)),
      pollers_(pollers),
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

Result<void> DeviceThread::start(std::function<void()> first) {
    stopping_ = false;
    try {
        thread_ = std::thread([this, first = std::move(first)] {
            if (first) first();
            run();
        });
    } catch (const std::system_error& error) {
        return fail("I/O thread of " + name_, error.what(),
                    "raise the limits of processes and of address space (ulimit -u, -v)");
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

/// What it costs to signal a descriptor and to take that from epoll: the smallest of some.
std::chrono::nanoseconds DeviceThread::measure_signal_cost() const {
    auto least = std::chrono::nanoseconds::max();
    for (int round = 0; round < 8; ++round) {
        const auto start = clock_.now();
        stop_.signal();
        wait();
        least = std::min(least, clock_.now() - start);
    }
    stop_.drain();
    return least;
}

void DeviceThread::run() {
    auto idle_since = clock_.now();
    while (!stopping_) {
        if (budget_.cap() > std::chrono::nanoseconds(0)) idle_since = poll(idle_since);
        while (device_.service() && !stopping_) continue;
        if (!stopping_) wait();
    }
    quiesce();
}

/// Serves what there is, and what comes within the budget after it. Returns since when there was nothing.
std::chrono::nanoseconds DeviceThread::poll(std::chrono::nanoseconds idle_since) {
    if (!serve_all()) return idle_since;  // woken for nothing
    budget_.work_after(clock_.now() - idle_since);
    for (;;) {
        idle_since = clock_.now();
        if (budget_.value() == std::chrono::nanoseconds(0) || stopping_) return idle_since;
        const PollEnd end = poll_until(idle_since + budget_.value());
        const auto waited = clock_.now() - idle_since;
        count(end, waited);
        if (end == PollEnd::gave_way) budget_.gave_way();
        if (end != PollEnd::found) return idle_since;
        budget_.work_after(waited);
        serve_all();
    }
}

bool DeviceThread::serve_all() const {
    bool found = false;
    while (!stopping_ && device_.service(Pass::poll)) found = true;
    return found;
}

DeviceThread::PollEnd DeviceThread::poll_until(std::chrono::nanoseconds end) {
    const Pollers::Polling polling(pollers_);
    const auto longest_gap = preempted_after(signal_cost_);
    for (auto last = clock_.now();;) {
        if (stopping_) return PollEnd::stopped;
        if (device_.service(Pass::poll)) return PollEnd::found;
        if (pollers_.crowded()) ::sched_yield();
        const auto now = clock_.now();
        if (now - last > longest_gap && lost_cpu()) return PollEnd::gave_way;
        if (now >= end) return PollEnd::in_vain;
        last = now;
    }
}

/// Whether the scheduler has given this thread's CPU to another one since this was asked last. A gap alone
/// does not tell: firmware, or a machine around this one, takes its time too, and there is no use in yielding
/// to those.
bool DeviceThread::lost_cpu() {
    rusage usage{};
    if (::getrusage(RUSAGE_THREAD, &usage) != 0) return true;
    return std::exchange(switched_away_, usage.ru_nivcsw) != usage.ru_nivcsw;
}

void DeviceThread::count(PollEnd end, std::chrono::nanoseconds time) {
    polls_.time += time;
    if (end == PollEnd::found) ++polls_.found;
    if (end == PollEnd::in_vain) ++polls_.in_vain;
    if (end == PollEnd::gave_way) ++polls_.gave_way;
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
