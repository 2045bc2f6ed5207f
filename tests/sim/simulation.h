// A machine in virtual time: CPUs, threads that compute and wait, one scheduler.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <vector>

#include "tests/sim/scheduler.h"
#include "tests/sim/workload.h"

namespace exo::sim {

/// Of one group of threads, after the warm-up.
struct GroupResult {
    std::vector<Nanoseconds> responses;  ///< from wake-up to the end of the burst
    std::vector<Nanoseconds> cpu_times;  ///< one a thread
    Nanoseconds work = 0;                ///< that was asked for and done

    Nanoseconds total_cpu_time() const;
};

struct SimulationResult {
    std::vector<GroupResult> groups;
    Nanoseconds duration = 0;  ///< measured, after the warm-up
    Nanoseconds idle = 0;      ///< all CPUs
    Nanoseconds overhead = 0;  ///< switches and migrations, all CPUs
    std::uint64_t switches = 0;
    std::uint64_t migrations = 0;
    Nanoseconds longest_wait = 0;        ///< in a run queue, warm-up included
    std::uint64_t idle_while_ready = 0;  ///< events after which a CPU idled while a thread waited

    /// Of all groups that end their bursts, sorted.
    std::vector<Nanoseconds> responses() const;
};

Nanoseconds mean(const std::vector<Nanoseconds>& samples);
/// By nearest rank; of sorted samples.
Nanoseconds percentile(const std::vector<Nanoseconds>& sorted, unsigned percent);

/// Runs a workload for `warm_up`, then for `duration`. The same seed gives the same arrivals and bursts to
/// every scheduler: each thread draws from a sequence of its own.
class Simulation {
  public:
    Simulation(const Workload& workload, Scheduler& scheduler, Costs costs, std::uint64_t seed);
    ~Simulation();
    Simulation(const Simulation&) = delete;
    Simulation& operator=(const Simulation&) = delete;

    SimulationResult run(Nanoseconds warm_up, Nanoseconds duration);

  private:
    struct Request;
    struct Thread;
    struct Cpu {
        Thread* running = nullptr;
        Thread* last = nullptr;
        Nanoseconds started = 0;  ///< of what has not been accounted for; later than now during a switch
        Nanoseconds idle_since = 0;
        bool idle = true;
        std::uint64_t plan = 0;  ///< events of older plans are void
    };
    struct Event {
        Nanoseconds time;
        std::uint64_t order;
        Thread* woken;  ///< or null for a CPU's own event
        unsigned cpu;
        std::uint64_t plan;
        bool operator>(const Event& other) const {
            return time != other.time ? time > other.time : order > other.order;
        }
    };

    void add_threads(std::uint64_t seed);
    void start_measuring();
    void wake(Thread& thread);
    void arrive(Thread& thread, Request request);
    void begin_burst(Thread& thread);
    void end_burst(unsigned cpu);
    void run_cpu(unsigned cpu);
    void preempt(unsigned cpu);
    void dispatch(unsigned cpu);
    void start(unsigned cpu, Thread& thread);
    void go_idle(Cpu& cpu);
    void account(unsigned cpu);
    void plan(unsigned cpu);
    void push(Nanoseconds time, Thread* woken, unsigned cpu);
    void check_work_conservation();
    CpuMask idle_cpus() const;

    const Workload& workload_;
    Scheduler& scheduler_;
    Costs costs_;
    std::vector<std::unique_ptr<Thread>> threads_;
    std::vector<Cpu> cpus_;
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
    std::uint64_t events_pushed_ = 0;
    Nanoseconds now_ = 0;
    SimulationResult result_;
};

}  // namespace exo::sim
