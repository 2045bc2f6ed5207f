#pragma once

#include <algorithm>
#include <bit>
#include <vector>

#include "tests/sim/scheduler.h"

namespace exo::sim {

/// Shortest remaining processing time first, for all CPUs together, by one who knows the future: on one CPU
/// nothing has a smaller mean response (Schrage 1968), so it bounds what a prediction can give. Hogs, which
/// never end, take turns of 10 ms.
class OraclePolicy final : public Scheduler {
  public:
    explicit OraclePolicy(unsigned cpus) : running_(cpus), slice_end_(cpus) {}

    void enqueue(unsigned cpu, Task& task, Arrival, Nanoseconds) override {
        if (running_[cpu] == &task) running_[cpu] = nullptr;
        waiting_.push_back(&task);
    }
    Task* pick_next(unsigned cpu, Nanoseconds now) override {
        const auto best =
            std::min_element(waiting_.begin(), waiting_.end(),
                             [](const Task* a, const Task* b) { return length(*a) < length(*b); });
        if (best == waiting_.end()) return nullptr;
        Task* const task = *best;
        waiting_.erase(best);
        running_[cpu] = task;
        slice_end_[cpu] = now + guest::milliseconds(10);
        return task;
    }
    void account(unsigned, Task&, Nanoseconds, Nanoseconds) override {}
    void block(unsigned cpu, Task&, Nanoseconds) override { running_[cpu] = nullptr; }
    bool should_preempt(unsigned, const Task& running, const Task& woken, Nanoseconds) override {
        return length(woken) < length(running);
    }
    bool should_give_way(unsigned cpu, Task& running, Nanoseconds now) override {
        if (now < slice_end_[cpu]) return false;
        slice_end_[cpu] = now + guest::milliseconds(10);
        return std::any_of(waiting_.begin(), waiting_.end(),
                           [&](const Task* task) { return length(*task) <= length(running); });
    }
    Nanoseconds preempt_at(unsigned cpu, const Task&, Nanoseconds) override {
        return waiting_.empty() ? guest::never : slice_end_[cpu];
    }
    Task* steal_for(unsigned, Nanoseconds) override { return nullptr; }
    unsigned choose_cpu(const Task& task, CpuMask idle, Nanoseconds) override {
        if (task.last_cpu != guest::no_cpu && (idle >> task.last_cpu & 1) != 0) return task.last_cpu;
        if (idle != 0) return static_cast<unsigned>(std::countr_zero(idle));
        const auto longest =
            std::max_element(running_.begin(), running_.end(),
                             [](const Task* a, const Task* b) { return length(*a) < length(*b); });
        return static_cast<unsigned>(longest - running_.begin());
    }
    std::size_t ready(unsigned) const override { return waiting_.size(); }

  private:
    static Nanoseconds length(const Task& task) { return std::min(task.remaining, endless / 2); }

    std::vector<Task*> waiting_;
    std::vector<Task*> running_;
    std::vector<Nanoseconds> slice_end_;
};

}  // namespace exo::sim
