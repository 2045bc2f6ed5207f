#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "guest/memory/own_counter.h"
#include "guest/sched/policy/policy.h"
#include "guest/sched/thread.h"

namespace exo::guest {

/// What a CPU's scheduler has counted since the start.
struct SchedulerCpuCounts {
    std::uint64_t switches = 0;     ///< from one thread to another
    std::uint64_t wake_ups = 0;     ///< of threads that came into this CPU's queue
    std::uint64_t interrupts = 0;   ///< sent to other CPUs
    std::uint64_t steals = 0;       ///< threads taken from other CPUs
    std::uint64_t timer_wakes = 0;  ///< of threads whose deadline came
    std::uint64_t idle_ns = 0;      ///< without the stretch of now
};

/// One CPU of a Scheduler, which alone works with it.
class alignas(64) SchedulerCpu {
  public:
    SchedulerCpu(Scheduler& scheduler, unsigned number, PolicyKind policy);

  private:
    friend class Scheduler;

    struct Counters {
        OwnCounter switches, wake_ups, interrupts, steals, timer_wakes, idle_ns;
    };

    CpuLoad load() const { return std::bit_cast<CpuLoad>(load_.load(std::memory_order_seq_cst)); }
    /// Tells the other CPUs what has changed in the queue.
    void publish_load() EXO_THREAD_SAFETY(requires_capability(lock_)) {
        const CpuLoad load = queue_.load(running_->is_idle_ ? nullptr : running_);
        load_.store(std::bit_cast<std::uint64_t>(load), std::memory_order_seq_cst);
    }

    const unsigned number_;

    RawSpinLock lock_;
    RunQueue queue_ EXO_THREAD_SAFETY(guarded_by(lock_));
    Thread* running_ EXO_THREAD_SAFETY(guarded_by(lock_));
    /// When the running thread's turn is over, as it was when it was last looked at.
    std::uint64_t preempt_at_ns_ EXO_THREAD_SAFETY(guarded_by(lock_)) = arch::no_deadline;
    std::uint64_t idle_since_ns_ EXO_THREAD_SAFETY(guarded_by(lock_)) = 0;

    /// The queue has changed: the running thread may have to give way.
    std::atomic<bool> look_again_ = false;
    std::atomic<std::uint64_t> load_ = std::bit_cast<std::uint64_t>(CpuLoad{});

    RawSpinLock timers_lock_;
    TimerQueue timers_ EXO_THREAD_SAFETY(guarded_by(timers_lock_));
    std::atomic<std::uint64_t> next_timer_ns_ = arch::no_deadline;
    std::uint64_t timer_set_for_ns_ = arch::no_deadline;  ///< this CPU's own

    Counters counters_;
    Thread idle_;
};

}  // namespace exo::guest
