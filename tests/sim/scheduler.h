// What the simulator asks of a scheduler: this project's policies, and the peers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

#include "guest/sched/policy/cpu_choice.h"
#include "guest/sched/policy/predictive_queue.h"
#include "guest/sched/policy/scheduled_thread.h"

namespace exo::sim {

using guest::Arrival;
using guest::CpuMask;
using guest::Nanoseconds;

inline constexpr Nanoseconds endless = Nanoseconds{1} << 62;

/// A simulated thread. What peers note about it is theirs; only the oracle may look at `remaining`.
struct Task {
    guest::ScheduledThread thread;  ///< first: a policy's thread is the task it is in
    Nanoseconds remaining = 0;      ///< of its burst
    std::size_t group = 0;
    std::size_t index = 0;
    unsigned last_cpu = guest::no_cpu;

    // Of the fair peers.
    double vruntime = 0;
    double deadline = 0;
    double lag = 0;
    double blocked_at_average = 0;
    unsigned queue = guest::no_cpu;
    Nanoseconds ran_since_picked = 0;
};

static_assert(std::is_standard_layout_v<Task>);

class Scheduler {
  public:
    virtual ~Scheduler() = default;

    virtual void enqueue(unsigned cpu, Task& task, Arrival arrival, Nanoseconds now) = 0;
    virtual Task* pick_next(unsigned cpu, Nanoseconds now) = 0;
    /// The running task has run for so long since the last time.
    virtual void account(unsigned cpu, Task& running, Nanoseconds ran, Nanoseconds now) = 0;
    virtual void block(unsigned cpu, Task& running, Nanoseconds now) = 0;
    virtual bool should_preempt(unsigned cpu, const Task& running, const Task& woken, Nanoseconds now) = 0;
    /// Asked when the timer has fired.
    virtual bool should_give_way(unsigned cpu, Task& running, Nanoseconds now) = 0;
    virtual Nanoseconds preempt_at(unsigned cpu, const Task& running, Nanoseconds now) = 0;
    /// For an idle CPU: a task out of another one's queue, or null.
    virtual Task* steal_for(unsigned cpu, Nanoseconds now) = 0;
    virtual unsigned choose_cpu(const Task& task, CpuMask idle, Nanoseconds now) = 0;
    virtual std::size_t ready(unsigned cpu) const = 0;
};

}  // namespace exo::sim
