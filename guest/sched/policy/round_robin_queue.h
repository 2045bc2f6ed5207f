#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "guest/sched/policy/cpu_choice.h"
#include "guest/sched/policy/decision_trace.h"
#include "guest/sched/policy/predictive_queue.h"
#include "guest/sched/policy/scheduled_thread.h"
#include "guest/sched/policy/scheduler_statistics.h"
#include "guest/sched/policy/thread_list.h"

namespace exo::guest {

/// The classic policy, and the baseline: first in, first out, 10 ms each, no pre-emption at wake-up. The same
/// interface as PredictiveQueue; what is not said here means the same as there.
class RoundRobinQueue {
  public:
    static constexpr Nanoseconds slice = milliseconds(10);

    /// All that were there before have one slice each.
    static constexpr Nanoseconds starvation_bound(std::uint64_t ready) { return ready * slice; }

    explicit RoundRobinQueue(unsigned cpu) : cpu_(static_cast<std::uint16_t>(cpu)) {}

    void enqueue(ScheduledThread& thread, Arrival arrival, Nanoseconds now) {
        if (arrival == Arrival::woken) {
            thread.burst = 0;
            thread.woken_at = now;
        }
        if (arrival != Arrival::moved) thread.ready_since = now;
        thread.queued = true;
        threads_.append(thread);
        ++ready_;
    }

    void dequeue(ScheduledThread& thread) {
        threads_.remove(thread);
        thread.queued = false;
        --ready_;
    }

    ScheduledThread* pick_next(Nanoseconds now) {
        ScheduledThread* const thread = threads_.first();
        if (thread == nullptr) return nullptr;
        ++statistics_.scheduled[static_cast<std::size_t>(thread->thread_class)];
        if (affinity_score(*thread, cpu_, now) > preferred_affinity) ++statistics_.affinity_hits;
        record(Decision::Kind::picked, *thread, now);
        dequeue(*thread);
        thread->last_cpu = cpu_;
        thread->charged_until = now;
        thread->slice_end = now + slice;
        return thread;
    }

    void account(ScheduledThread& running, Nanoseconds now) {
        const Nanoseconds ran = now - std::min(now, running.charged_until);
        running.burst += ran;
        running.cpu_time += ran;
        running.charged_until = now;
        running.last_ran = now;
    }

    void block(ScheduledThread& running, Nanoseconds now) {
        account(running, now);
        ++statistics_.bursts;
        running.burst = 0;
    }

    bool should_preempt(const ScheduledThread&, const ScheduledThread&, Nanoseconds) const { return false; }

    Nanoseconds preempt_at(const ScheduledThread& running) const {
        return ready_ == 0 ? never : running.slice_end;
    }

    bool should_give_way(ScheduledThread& running, Nanoseconds now) {
        return ready_ != 0 && now >= running.slice_end;
    }

    ScheduledThread* steal(Nanoseconds now) {
        ScheduledThread* const thread = threads_.first();
        if (thread == nullptr) return nullptr;
        ++statistics_.stolen;
        record(Decision::Kind::stolen, *thread, now);
        dequeue(*thread);
        return thread;
    }

    ScheduledThread* oldest() const { return threads_.first(); }
    std::uint32_t ready() const { return ready_; }
    CpuLoad load(const ScheduledThread* running) const {
        CpuLoad load;
        load.ready = static_cast<std::uint16_t>(ready_);
        if (running != nullptr) load.running_class = 0;
        return load;
    }
    const SchedulerStatistics& statistics() const { return statistics_; }
    const DecisionTrace& trace() const { return trace_; }

    /// Where it was if that CPU is idle or nobody is; else an idle one.
    template <class Loads>
    static unsigned choose_cpu(const ScheduledThread& thread, Nanoseconds, CpuMask idle, unsigned cpu_count,
                               Loads&&) {
        const unsigned home = thread.last_cpu < cpu_count ? thread.last_cpu : thread.id % cpu_count;
        if (idle == 0 || (idle >> home & 1) != 0) return home;
        return static_cast<unsigned>(std::countr_zero(idle));
    }

  private:
    void record(Decision::Kind kind, const ScheduledThread& thread, Nanoseconds now) {
        trace_.record({.time = now,
                       .waited = thread.queued ? now - std::min(now, thread.ready_since) : 0,
                       .prediction = 0,
                       .thread = thread.id,
                       .ready = static_cast<std::uint16_t>(ready_),
                       .thread_class = thread.thread_class,
                       .kind = kind});
    }

    ThreadList<&ScheduledThread::by_age> threads_;
    std::uint32_t ready_ = 0;
    std::uint16_t cpu_;
    SchedulerStatistics statistics_;
    DecisionTrace trace_;
};

}  // namespace exo::guest
