#include "tests/sim/fair_policy.h"

#include <algorithm>
#include <bit>

namespace exo::sim {
namespace {

/// Linux scales its granularities with 1 + log2(CPUs).
unsigned scale(unsigned cpus) {
    return static_cast<unsigned>(std::bit_width(std::min(cpus, 8U)));
}

bool less_vruntime(const Task* a, const Task* b) {
    return a->vruntime < b->vruntime;
}

}  // namespace

void FairQueues::enqueue(unsigned cpu, Task& task, Arrival arrival, Nanoseconds) {
    Queue& queue = queues_[cpu];
    if (queue.running == &task) queue.running = nullptr;
    if (arrival == Arrival::woken || arrival == Arrival::moved) place(queue, task, arrival);
    task.queue = cpu;
    queue.waiting.push_back(&task);
}

void FairQueues::take(Queue& queue, Task& task) {
    std::erase(queue.waiting, &task);
}

Task* FairQueues::steal_for(unsigned, Nanoseconds) {
    const auto longest = std::max_element(queues_.begin(), queues_.end(), [](const Queue& a, const Queue& b) {
        return a.waiting.size() < b.waiting.size();
    });
    if (longest->waiting.empty()) return nullptr;
    Task* const task = longest->waiting.front();
    detach(*longest, *task);
    take(*longest, *task);
    return task;
}

unsigned FairQueues::choose_cpu(const Task& task, CpuMask idle, Nanoseconds) {
    const unsigned home =
        task.last_cpu == guest::no_cpu ? static_cast<unsigned>(task.index % queues_.size()) : task.last_cpu;
    if (idle == 0 || (idle >> home & 1) != 0) return home;
    return static_cast<unsigned>(std::countr_zero(idle));
}

CfsPolicy::CfsPolicy(unsigned cpus)
    : FairQueues(cpus),
      latency_(guest::milliseconds(6) * scale(cpus)),
      least_granularity_(guest::microseconds(750) * scale(cpus)),
      wakeup_granularity_(static_cast<double>(guest::milliseconds(1) * scale(cpus))) {}

void CfsPolicy::place(Queue& queue, Task& task, Arrival arrival) {
    if (arrival == Arrival::moved) {
        task.vruntime += queue.floor;
        return;
    }
    // Virtual times of two queues do not compare; a woken thread that changes CPUs begins at the floor.
    const double credit = static_cast<double>(latency_) / 2;
    const double own =
        task.queue == static_cast<unsigned>(&queue - queues_.data()) ? task.vruntime : queue.floor;
    task.vruntime = std::max(own, queue.floor - credit);
}

void CfsPolicy::raise_floor(Queue& queue) {
    const Task* least = queue.running;
    for (const Task* task : queue.waiting)
        if (least == nullptr || less_vruntime(task, least)) least = task;
    if (least != nullptr) queue.floor = std::max(queue.floor, least->vruntime);
}

Nanoseconds CfsPolicy::slice(const Queue& queue) const {
    const std::size_t runnable = queue.waiting.size() + 1;
    return std::max(latency_, runnable * least_granularity_) / runnable;
}

Task* CfsPolicy::pick_next(unsigned cpu, Nanoseconds) {
    Queue& queue = queues_[cpu];
    if (queue.waiting.empty()) return nullptr;
    Task* const task = *std::min_element(queue.waiting.begin(), queue.waiting.end(), less_vruntime);
    take(queue, *task);
    queue.running = task;
    task->ran_since_picked = 0;
    return task;
}

void CfsPolicy::account(unsigned cpu, Task& running, Nanoseconds ran, Nanoseconds) {
    running.vruntime += static_cast<double>(ran);
    running.ran_since_picked += ran;
    raise_floor(queues_[cpu]);
}

void CfsPolicy::block(unsigned cpu, Task&, Nanoseconds) {
    queues_[cpu].running = nullptr;
    raise_floor(queues_[cpu]);
}

bool CfsPolicy::should_preempt(unsigned, const Task& running, const Task& woken, Nanoseconds) {
    return running.vruntime - woken.vruntime > wakeup_granularity_;
}

bool CfsPolicy::should_give_way(unsigned cpu, Task& running, Nanoseconds) {
    Queue& queue = queues_[cpu];
    if (queue.waiting.empty()) return false;
    if (running.ran_since_picked >= slice(queue)) return true;
    const Task* const least = *std::min_element(queue.waiting.begin(), queue.waiting.end(), less_vruntime);
    return running.ran_since_picked >= least_granularity_ &&
           running.vruntime - least->vruntime > static_cast<double>(slice(queue));
}

Nanoseconds CfsPolicy::preempt_at(unsigned cpu, const Task& running, Nanoseconds now) {
    const Queue& queue = queues_[cpu];
    if (queue.waiting.empty()) return guest::never;
    const Task* const least = *std::min_element(queue.waiting.begin(), queue.waiting.end(), less_vruntime);
    const Nanoseconds left = slice(queue) - std::min(slice(queue), running.ran_since_picked);
    const double behind = static_cast<double>(slice(queue)) - (running.vruntime - least->vruntime);
    const Nanoseconds until_behind = behind <= 0 ? 0 : static_cast<Nanoseconds>(behind) + 1;
    const Nanoseconds until_least =
        least_granularity_ - std::min(least_granularity_, running.ran_since_picked);
    return now + std::min(left, std::max(until_behind, until_least));
}

EevdfPolicy::EevdfPolicy(unsigned cpus)
    : FairQueues(cpus), slice_(static_cast<double>(guest::microseconds(700) * scale(cpus))) {}

double EevdfPolicy::average(const Queue& queue) {
    double sum = queue.running != nullptr ? queue.running->vruntime : 0;
    for (const Task* task : queue.waiting) sum += task->vruntime;
    const std::size_t count = queue.waiting.size() + (queue.running != nullptr ? 1 : 0);
    return count == 0 ? queue.floor : sum / static_cast<double>(count);
}

void EevdfPolicy::place(Queue& queue, Task& task, Arrival arrival) {
    const double now = average(queue);
    double lag = task.lag;
    // Asleep, a thread that owes time stays in the competition until it owes none.
    const bool same_queue = task.queue == static_cast<unsigned>(&queue - queues_.data());
    if (arrival == Arrival::woken && lag < 0)
        lag = same_queue ? std::min(0.0, lag + std::max(0.0, now - task.blocked_at_average)) : 0;
    // Coming in moves the average towards the newcomer: what it owes or is owed is scaled so that it holds
    // after.
    const auto others = static_cast<double>(queue.waiting.size() + (queue.running != nullptr ? 1 : 0));
    if (others > 0) lag *= (others + 1) / others;
    task.vruntime = now - lag;
    task.deadline = task.vruntime + slice_;
}

void EevdfPolicy::detach(Queue& queue, Task& task) {
    task.lag = std::clamp(average(queue) - task.vruntime, -2 * slice_, 2 * slice_);
}

Task* EevdfPolicy::earliest_eligible(const Queue& queue) {
    const double limit = average(queue) + 1;  // a nanosecond of rounding
    Task* best = nullptr;
    for (Task* task : queue.waiting)
        if (task->vruntime <= limit && (best == nullptr || task->deadline < best->deadline)) best = task;
    return best;
}

Task* EevdfPolicy::pick_next(unsigned cpu, Nanoseconds) {
    Queue& queue = queues_[cpu];
    if (queue.waiting.empty()) return nullptr;
    Task* const task = earliest_eligible(queue);
    take(queue, *task);
    queue.running = task;
    return task;
}

void EevdfPolicy::account(unsigned cpu, Task& running, Nanoseconds ran, Nanoseconds) {
    running.vruntime += static_cast<double>(ran);
    queues_[cpu].floor = average(queues_[cpu]);
}

void EevdfPolicy::block(unsigned cpu, Task& running, Nanoseconds) {
    Queue& queue = queues_[cpu];
    detach(queue, running);
    running.blocked_at_average = average(queue);
    queue.floor = running.blocked_at_average;
    queue.running = nullptr;
}

bool EevdfPolicy::should_preempt(unsigned cpu, const Task& running, const Task& woken, Nanoseconds) {
    const Queue& queue = queues_[cpu];
    const Task* const next = earliest_eligible(queue);
    const bool eligible = running.vruntime <= average(queue);
    const bool goes_on =
        eligible && (running.vruntime < running.deadline || running.deadline <= woken.deadline);
    return !goes_on && next == &woken;
}

bool EevdfPolicy::should_give_way(unsigned cpu, Task& running, Nanoseconds) {
    if (running.vruntime < running.deadline) return false;
    running.deadline = running.vruntime + slice_;
    const Queue& queue = queues_[cpu];
    const Task* const next = earliest_eligible(queue);
    if (next == nullptr) return false;
    const bool running_eligible = running.vruntime <= average(queue);
    return !running_eligible || next->deadline < running.deadline;
}

Nanoseconds EevdfPolicy::preempt_at(unsigned cpu, const Task& running, Nanoseconds now) {
    if (queues_[cpu].waiting.empty()) return guest::never;
    const double left = running.deadline - running.vruntime;
    return now + (left <= 0 ? 0 : static_cast<Nanoseconds>(left) + 1);
}

}  // namespace exo::sim
