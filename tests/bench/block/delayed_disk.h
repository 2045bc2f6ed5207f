#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>

#include "vmm/base/clock.h"
#include "vmm/base/timer_fd.h"
#include "vmm/storage/memory_disk.h"

namespace exo::bench {

/// A disk in memory whose requests take a given time each, side by side. They end when a timer fires, as
/// those of a real disk by an interrupt: a thread that sleeps is woken for it, one that looks sees it on
/// time.
class DelayedDisk final : public vmm::Disk {
  public:
    /// @param delay  that a request takes, the time of the copying included
    static vmm::Result<std::unique_ptr<DelayedDisk>> create(vmm::MemoryDisk content,
                                                            std::chrono::nanoseconds delay);

    /// For requests to come; from any thread.
    void set_delay(std::chrono::nanoseconds delay) { delay_ = delay; }

    const vmm::DiskGeometry& geometry() const override { return content_.geometry(); }
    std::string description() const override { return "memory, delayed"; }
    std::size_t depth() const override { return content_.depth(); }
    void submit(std::span<const vmm::DiskRequest> requests) override;
    std::size_t reap(std::span<vmm::DiskCompletion> completions) override;
    int completion_fd() const override { return timer_.get(); }

  private:
    struct Held {
        vmm::DiskCompletion completion;
        std::chrono::nanoseconds due;
    };

    DelayedDisk(vmm::MemoryDisk content, std::chrono::nanoseconds delay, vmm::TimerFd timer)
        : content_(std::move(content)), delay_(delay), timer_(std::move(timer)) {}

    vmm::MemoryDisk content_;
    std::atomic<std::chrono::nanoseconds> delay_;
    vmm::TimerFd timer_;
    vmm::SystemClock clock_;
    std::deque<Held> held_;  // all take the same time, or nearly so: they end in order
};

}  // namespace exo::bench
