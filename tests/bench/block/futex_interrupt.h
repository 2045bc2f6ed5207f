#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>

#include "guest/drivers/interrupt.h"
#include "tests/bench/block/hosted_time.h"
#include "vmm/base/io_handler.h"

namespace exo::bench {

/// An interrupt between two threads: the device's raises it, the driver's sleeps for it. As between VMM and
/// guest it costs who raises it a system call only when somebody sleeps.
class FutexInterrupt final : public guest::Interrupt, public vmm::InterruptLine {
  public:
    explicit FutexInterrupt(const HostedTime& time) : time_(time) {}

    std::uint64_t count() const override { return raised_.load(); }

    bool wait(std::uint64_t seen, std::uint64_t deadline_ns) override {
        const std::uint64_t cpu = read_clock(CLOCK_THREAD_CPUTIME_ID);
        sleep(static_cast<std::uint32_t>(seen), deadline_ns);
        handled_ns_ = time_.now_ns() - (read_clock(CLOCK_THREAD_CPUTIME_ID) - cpu);
        return raised_.load() != static_cast<std::uint32_t>(seen);
    }

    /// So that what has passed since then is the CPU time of the sleep and the wake-up: the guest's kernel
    /// sees that of its own, here the host's scheduler takes it.
    std::uint64_t last_timestamp() const override { return handled_ns_; }

    void raise() override {
        raised_.fetch_add(1);
        if (waits_.load()) ::syscall(SYS_futex, &raised_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
    }

  private:
    void sleep(std::uint32_t expected, std::uint64_t deadline_ns) {
        waits_ = true;
        while (raised_.load() == expected) {
            const std::uint64_t now = time_.now_ns();  // the deadline is by this clock, which may drift
            if (now >= deadline_ns) break;
            const std::uint64_t left = std::min(deadline_ns - now, guest::ns_per_s);
            const timespec timeout{static_cast<time_t>(left / guest::ns_per_s),
                                   static_cast<long>(left % guest::ns_per_s)};
            ::syscall(SYS_futex, &raised_, FUTEX_WAIT_PRIVATE, expected, &timeout, nullptr, 0);
        }
        waits_ = false;
    }

    const HostedTime& time_;
    std::uint64_t handled_ns_ = 0;  ///< of the thread that waits
    std::atomic<std::uint32_t> raised_ = 0;
    std::atomic<bool> waits_ = false;
};

}  // namespace exo::bench
