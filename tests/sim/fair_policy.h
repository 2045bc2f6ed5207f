#pragma once

#include <vector>

#include "tests/sim/scheduler.h"

namespace exo::sim {

/// Queues, CPU choice and stealing that the fair peers share: the CPU where it was if that is idle, else an
/// idle one, else where it was; an idle CPU pulls from the longest queue.
class FairQueues : public Scheduler {
  public:
    explicit FairQueues(unsigned cpus) : queues_(cpus) {}

    void enqueue(unsigned cpu, Task& task, Arrival arrival, Nanoseconds now) override;
    Task* steal_for(unsigned cpu, Nanoseconds now) override;
    unsigned choose_cpu(const Task& task, CpuMask idle, Nanoseconds now) override;
    std::size_t ready(unsigned cpu) const override { return queues_[cpu].waiting.size(); }

  protected:
    struct Queue {
        std::vector<Task*> waiting;
        Task* running = nullptr;
        double floor = 0;  ///< CFS: min_vruntime
    };

    /// Gives a task its place in virtual time before it goes into a queue.
    virtual void place(Queue& queue, Task& task, Arrival arrival) = 0;
    /// Makes a task's virtual time relative to its queue, before it leaves for another one.
    virtual void detach(Queue& queue, Task& task) = 0;
    void take(Queue& queue, Task& task);

    std::vector<Queue> queues_;
};

/// Linux's Completely Fair Scheduler (kernel/sched/fair.c up to 6.5) for threads of equal weight: the least
/// virtual run time first, sleepers get half a latency period of credit, a wake-up pre-empts when it is
/// behind by more than the wake-up granularity. With Linux's defaults, which grow with the number of CPUs;
/// the slice ends exactly (Linux's HRTICK), where by default it would end at the next tick.
class CfsPolicy final : public FairQueues {
  public:
    explicit CfsPolicy(unsigned cpus);

    Task* pick_next(unsigned cpu, Nanoseconds now) override;
    void account(unsigned cpu, Task& running, Nanoseconds ran, Nanoseconds now) override;
    void block(unsigned cpu, Task& running, Nanoseconds now) override;
    bool should_preempt(unsigned cpu, const Task& running, const Task& woken, Nanoseconds now) override;
    bool should_give_way(unsigned cpu, Task& running, Nanoseconds now) override;
    Nanoseconds preempt_at(unsigned cpu, const Task& running, Nanoseconds now) override;

  private:
    void place(Queue& queue, Task& task, Arrival arrival) override;
    void detach(Queue& queue, Task& task) override { task.vruntime -= queue.floor; }
    static void raise_floor(Queue& queue);
    Nanoseconds slice(const Queue& queue) const;

    Nanoseconds latency_;
    Nanoseconds least_granularity_;
    double wakeup_granularity_;
};

/// Linux's Earliest Eligible Virtual Deadline First (6.12) for threads of equal weight: among those that have
/// not had more than their share the earliest virtual deadline first. Lag is kept over sleep, negative lag
/// decays while asleep (DELAY_DEQUEUE); while it is eligible the running thread is protected to the end of
/// its slice (RUN_TO_PARITY). After Stoica and Abdel-Wahab 1995.
class EevdfPolicy final : public FairQueues {
  public:
    explicit EevdfPolicy(unsigned cpus);

    Task* pick_next(unsigned cpu, Nanoseconds now) override;
    void account(unsigned cpu, Task& running, Nanoseconds ran, Nanoseconds now) override;
    void block(unsigned cpu, Task& running, Nanoseconds now) override;
    bool should_preempt(unsigned cpu, const Task& running, const Task& woken, Nanoseconds now) override;
    bool should_give_way(unsigned cpu, Task& running, Nanoseconds now) override;
    Nanoseconds preempt_at(unsigned cpu, const Task& running, Nanoseconds now) override;

  private:
    void place(Queue& queue, Task& task, Arrival arrival) override;
    void detach(Queue& queue, Task& task) override;
    static double average(const Queue& queue);
    static Task* earliest_eligible(const Queue& queue);

    double slice_;
};

}  // namespace exo::sim
