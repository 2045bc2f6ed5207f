#include "tests/sim/simulation.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>

namespace exo::sim {

struct Simulation::Request {
    Nanoseconds asked_at = 0;
    Nanoseconds burst = 0;
};

struct Simulation::Thread {
    Thread(const Group& its_group, Random its_random) : group(its_group), random(its_random) {}

    Task task;
    const Group& group;
    Random random;
    double own_mean = 1;
    Request request;              ///< whose burst runs or waits
    std::deque<Request> backlog;  ///< of an open thread
    std::size_t index_in_group = 0;
    Nanoseconds ready_since = 0;
    bool awake = false;

    Nanoseconds draw_burst() {
        if (group.hog) return endless;
        return std::max<Nanoseconds>(
            1, static_cast<Nanoseconds>(own_mean * static_cast<double>(group.burst.draw(random))));
    }
};

Nanoseconds GroupResult::total_cpu_time() const {
    return std::accumulate(cpu_times.begin(), cpu_times.end(), Nanoseconds{0});
}

std::vector<Nanoseconds> SimulationResult::responses() const {
    std::vector<Nanoseconds> all;
    for (const GroupResult& group : groups)
        all.insert(all.end(), group.responses.begin(), group.responses.end());
    std::sort(all.begin(), all.end());
    return all;
}

Nanoseconds mean(const std::vector<Nanoseconds>& samples) {
    if (samples.empty()) return 0;
    return std::accumulate(samples.begin(), samples.end(), Nanoseconds{0}) / samples.size();
}

Nanoseconds percentile(const std::vector<Nanoseconds>& sorted, unsigned percent) {
    if (sorted.empty()) return 0;
    const std::size_t nth = (sorted.size() * percent + 99) / 100;
    return sorted[nth == 0 ? 0 : nth - 1];
}

Simulation::Simulation(const Workload& workload, Scheduler& scheduler, Costs costs, std::uint64_t seed)
    : workload_(workload), scheduler_(scheduler), costs_(costs), cpus_(workload.cpus) {
    add_threads(seed);
}

Simulation::~Simulation() = default;

void Simulation::add_threads(std::uint64_t seed) {
    for (std::size_t g = 0; g < workload_.groups.size(); ++g) {
        const Group& group = workload_.groups[g];
        for (unsigned i = 0; i < group.threads; ++i) {
            const std::size_t index = threads_.size();
            threads_.push_back(std::make_unique<Thread>(group, Random(seed * 1'000 + index)));
            Thread& thread = *threads_.back();
            thread.index_in_group = i;
            thread.task.group = g;
            thread.task.index = index;
            thread.task.thread.id = static_cast<std::uint32_t>(index);
            // Evenly over the range on a logarithmic scale, so that every seed has the same load.
            const double place = group.threads == 1 ? 0.5 : i / (group.threads - 1.0);
            thread.own_mean = std::pow(group.spread, 2 * place - 1);
            push(group.hog ? 0 : group.pause.draw(thread.random), &thread, 0);
        }
    }
}

void Simulation::push(Nanoseconds time, Thread* woken, unsigned cpu) {
    events_.push({time, events_pushed_++, woken, cpu, cpus_[cpu].plan});
}

SimulationResult Simulation::run(Nanoseconds warm_up, Nanoseconds duration) {
    bool measuring = false;
    while (!events_.empty()) {
        const Event event = events_.top();
        if (!measuring && event.time >= warm_up) {
            now_ = warm_up;
            start_measuring();
            measuring = true;
        }
        if (event.time >= warm_up + duration) break;
        events_.pop();
        now_ = event.time;
        if (event.woken != nullptr)
            wake(*event.woken);
        else if (event.plan == cpus_[event.cpu].plan)
            run_cpu(event.cpu);
        check_work_conservation();
    }
    now_ = warm_up + duration;
    for (unsigned cpu = 0; cpu < cpus_.size(); ++cpu) {
        if (cpus_[cpu].running != nullptr) {
            account(cpu);
            result_.overhead -= cpus_[cpu].started - now_;
        } else {
            result_.idle += now_ - cpus_[cpu].idle_since;
        }
    }
    result_.duration = duration;
    return std::move(result_);
}

void Simulation::start_measuring() {
    Nanoseconds switching = 0;
    for (unsigned cpu = 0; cpu < cpus_.size(); ++cpu) {
        Cpu& its = cpus_[cpu];
        if (its.running != nullptr) account(cpu);
        if (its.running != nullptr) switching += its.started - now_;
        its.idle_since = now_;
    }
    result_ = {.groups = {}, .overhead = switching, .longest_wait = result_.longest_wait};
    for (const Group& group : workload_.groups) {
        result_.groups.emplace_back();
        result_.groups.back().cpu_times.resize(group.threads);
    }
}

void Simulation::wake(Thread& thread) {
    if (thread.group.open) push(now_ + thread.group.pause.draw(thread.random), &thread, 0);
    // Drawn now and not when its turn comes, so that no scheduler changes what the thread is asked for.
    const Request request{now_, thread.draw_burst()};
    if (thread.awake)
        thread.backlog.push_back(request);
    else
        arrive(thread, request);
}

/// A thread that waited for something becomes ready.
void Simulation::arrive(Thread& thread, Request request) {
    thread.awake = true;
    thread.request = request;
    thread.task.remaining = request.burst;
    thread.ready_since = now_;
    const unsigned cpu = scheduler_.choose_cpu(thread.task, idle_cpus(), now_);
    scheduler_.enqueue(cpu, thread.task, Arrival::woken, now_);
    if (cpus_[cpu].running == nullptr) {
        dispatch(cpu);
        return;
    }
    account(cpu);
    if (scheduler_.should_preempt(cpu, cpus_[cpu].running->task, thread.task, now_))
        preempt(cpu);
    else
        plan(cpu);
}

/// The CPU's burst has ended or its timer has fired.
void Simulation::run_cpu(unsigned cpu) {
    account(cpu);
    Thread& running = *cpus_[cpu].running;
    if (running.task.remaining == 0)
        end_burst(cpu);
    else if (scheduler_.should_give_way(cpu, running.task, now_))
        preempt(cpu);
    else
        plan(cpu);
}

void Simulation::end_burst(unsigned cpu) {
    Thread& thread = *cpus_[cpu].running;
    scheduler_.block(cpu, thread.task, now_);
    cpus_[cpu].running = nullptr;
    thread.awake = false;
    if (!result_.groups.empty()) {
        GroupResult& group = result_.groups[thread.task.group];
        group.responses.push_back(now_ - thread.request.asked_at);
        group.work += thread.request.burst;
    }
    if (!thread.group.open) push(now_ + thread.group.pause.draw(thread.random), &thread, 0);
    if (!thread.backlog.empty()) {
        const Request next = thread.backlog.front();
        thread.backlog.pop_front();
        arrive(thread, next);
        if (cpus_[cpu].running != nullptr) return;
    }
    dispatch(cpu);
}

void Simulation::preempt(unsigned cpu) {
    Thread& thread = *cpus_[cpu].running;
    result_.overhead -= cpus_[cpu].started - now_;
    cpus_[cpu].running = nullptr;
    thread.ready_since = now_;
    scheduler_.enqueue(cpu, thread.task, Arrival::preempted, now_);
    dispatch(cpu);
}

void Simulation::dispatch(unsigned cpu) {
    Cpu& its = cpus_[cpu];
    Task* task = scheduler_.pick_next(cpu, now_);
    if (task == nullptr) {
        if (Task* const stolen = scheduler_.steal_for(cpu, now_)) {
            scheduler_.enqueue(cpu, *stolen, Arrival::moved, now_);
            task = scheduler_.pick_next(cpu, now_);
        }
    }
    if (task == nullptr) {
        go_idle(its);
        return;
    }
    if (its.idle) result_.idle += now_ - its.idle_since;
    its.idle = false;
    start(cpu, *threads_[task->index]);
}

void Simulation::go_idle(Cpu& cpu) {
    ++cpu.plan;
    if (cpu.idle) return;
    cpu.idle = true;
    cpu.idle_since = now_;
}

void Simulation::start(unsigned cpu, Thread& thread) {
    Cpu& its = cpus_[cpu];
    result_.longest_wait = std::max(result_.longest_wait, now_ - thread.ready_since);
    Nanoseconds cost = 0;
    if (its.last != &thread) {
        ++result_.switches;
        cost += costs_.context_switch;
    }
    if (thread.task.last_cpu != cpu && thread.task.last_cpu != guest::no_cpu) {
        ++result_.migrations;
        cost += costs_.migration;
    }
    result_.overhead += cost;
    its.running = its.last = &thread;
    its.started = now_ + cost;
    thread.task.last_cpu = cpu;
    plan(cpu);
}

/// The running thread has got so far.
void Simulation::account(unsigned cpu) {
    Cpu& its = cpus_[cpu];
    Thread& thread = *its.running;
    const Nanoseconds ran = now_ - std::min(now_, its.started);
    its.started = std::max(now_, its.started);
    if (!thread.group.hog) thread.task.remaining -= ran;
    if (!result_.groups.empty()) result_.groups[thread.task.group].cpu_times[thread.index_in_group] += ran;
    scheduler_.account(cpu, thread.task, ran, now_);
}

void Simulation::plan(unsigned cpu) {
    Cpu& its = cpus_[cpu];
    ++its.plan;
    const Task& task = its.running->task;
    const Nanoseconds end = its.started + task.remaining;
    const Nanoseconds timer = std::max(now_, scheduler_.preempt_at(cpu, task, now_));
    push(std::min(end, timer), nullptr, cpu);
}

void Simulation::check_work_conservation() {
    if (idle_cpus() == 0) return;
    for (unsigned cpu = 0; cpu < cpus_.size(); ++cpu)
        if (scheduler_.ready(cpu) != 0) {
            ++result_.idle_while_ready;
            return;
        }
}

CpuMask Simulation::idle_cpus() const {
    CpuMask idle = 0;
    for (unsigned cpu = 0; cpu < cpus_.size(); ++cpu)
        if (cpus_[cpu].running == nullptr) idle |= CpuMask{1} << cpu;
    return idle;
}

}  // namespace exo::sim
