#pragma once

#include <vector>

#include "guest/sched/policy/cpu_choice.h"
#include "tests/sim/scheduler.h"

namespace exo::sim {

/// A policy of the kernel, driven as the kernel drives it.
template <class Queue>
class KernelPolicy final : public Scheduler {
  public:
    explicit KernelPolicy(unsigned cpus) : running_(cpus) {
        for (unsigned cpu = 0; cpu < cpus; ++cpu) queues_.emplace_back(cpu);
    }

    void enqueue(unsigned cpu, Task& task, Arrival arrival, Nanoseconds now) override {
        if (running_[cpu] == &task.thread) running_[cpu] = nullptr;
        queues_[cpu].enqueue(task.thread, arrival, now);
    }
    Task* pick_next(unsigned cpu, Nanoseconds now) override {
        running_[cpu] = queues_[cpu].pick_next(now);
        return task_of(running_[cpu]);
    }
    void account(unsigned cpu, Task& running, Nanoseconds, Nanoseconds now) override {
        queues_[cpu].account(running.thread, now);
    }
    void block(unsigned cpu, Task& running, Nanoseconds now) override {
        running_[cpu] = nullptr;
        queues_[cpu].block(running.thread, now);
    }
    bool should_preempt(unsigned cpu, const Task& running, const Task& woken, Nanoseconds now) override {
        // The first has the CPU interrupted, the second is what the interrupted CPU then asks.
        return queues_[cpu].should_preempt(running.thread, woken.thread, now) &&
               queues_[cpu].should_give_way(const_cast<Task&>(running).thread, now);
    }
    bool should_give_way(unsigned cpu, Task& running, Nanoseconds now) override {
        return queues_[cpu].should_give_way(running.thread, now);
    }
    Nanoseconds preempt_at(unsigned cpu, const Task& running, Nanoseconds) override {
        return queues_[cpu].preempt_at(running.thread);
    }
    Task* steal_for(unsigned cpu, Nanoseconds now) override {
        const unsigned victim = guest::choose_victim(cpu, cpus(), loads());
        return victim == guest::no_cpu ? nullptr : task_of(queues_[victim].steal(now));
    }
    unsigned choose_cpu(const Task& task, CpuMask idle, Nanoseconds now) override {
        return Queue::choose_cpu(task.thread, now, idle, cpus(), loads());
    }
    std::size_t ready(unsigned cpu) const override { return queues_[cpu].ready(); }

    guest::SchedulerStatistics statistics() const {
        guest::SchedulerStatistics sum;
        for (const Queue& queue : queues_) sum += queue.statistics();
        return sum;
    }

  private:
    static Task* task_of(guest::ScheduledThread* thread) { return reinterpret_cast<Task*>(thread); }
    unsigned cpus() const { return static_cast<unsigned>(queues_.size()); }
    auto loads() const {
        return [this](unsigned cpu) { return queues_[cpu].load(running_[cpu]); };
    }

    std::vector<Queue> queues_;
    std::vector<guest::ScheduledThread*> running_;
};

}  // namespace exo::sim
