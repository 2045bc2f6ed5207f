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
    std::uint64_t count() const override { return raised_.load(); }

    bool wait(std::uint64_t seen, std::uint64_t deadline_ns) override {
        const auto expected = static_cast<std::uint32_t>(seen);
        waits_ = true;
        while (raised_.load() == expected) {
            const std::uint64_t now = read_clock(CLOCK_MONOTONIC);
            if (now >= deadline_ns) break;
            const std::uint64_t left = std::min(deadline_ns - now, guest::ns_per_s);
            const timespec timeout{static_cast<time_t>(left / guest::ns_per_s),
                                   static_cast<long>(left % guest::ns_per_s)};
            ::syscall(SYS_futex, &raised_, FUTEX_WAIT_PRIVATE, expected, &timeout, nullptr, 0);
        }
        waits_ = false;
        return raised_.load() != expected;
    }

    void raise() override {
        raised_.fetch_add(1);
        if (waits_.load()) ::syscall(SYS_futex, &raised_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
    }

  private:
    std::atomic<std::uint32_t> raised_ = 0;
    std::atomic<bool> waits_ = false;
};

}  // namespace exo::bench
