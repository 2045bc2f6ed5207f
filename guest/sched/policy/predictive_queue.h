#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "guest/sched/policy/cpu_choice.h"
#include "guest/sched/policy/decision_trace.h"
#include "guest/sched/policy/ready_queue.h"
#include "guest/sched/policy/scheduled_thread.h"
#include "guest/sched/policy/scheduler_statistics.h"

namespace exo::guest {

/// A deadline that never comes, as in the arch facade.
inline constexpr Nanoseconds never = ~Nanoseconds{0};

/// The predictive policy of one CPU, and its run queue: hot before normal before cold. Within a class the
/// shorter expected burst goes first, but not for ever: its turn is when it woke up plus twice its expected
/// remaining burst, so that a thread that has waited goes before shorter ones that come later. Pure shortest
/// first has the better mean and the far worse tail. One that is about six times shorter goes first in any
/// case. Cold threads take turns.
///
/// No waiting thread starves, whatever the others do (starvation_bound): a class that has not run for its
/// patience gets the CPU for a grant, and a thread that has waited `thread_patience` goes before all younger
/// ones of its class.
///
/// A pure object: the time is an argument, its owner does the locking, and nothing is allocated. The order of
/// calls for one thread: enqueue(woken), then pick_next gives it; while it runs account() may be called at
/// any time; it leaves the CPU by block(), or by enqueue(preempted or yielded). Times never go back.
class PredictiveQueue {
  public:
    static constexpr Nanoseconds thread_patience = milliseconds(200);
    static constexpr Nanoseconds grant = milliseconds(3);
    /// A woken thread of the same class pre-empts only if its turn is sooner by more than this: a pre-emption
    /// costs two switches and what they throw out of the caches.
    static constexpr Nanoseconds least_gain = microseconds(50);
    /// Nobody who wakes up, however short, pre-empts a thread that got the CPU less than this ago; it does so
    /// when that time is over. Without it, two threads that feed each other switch for each message, and a
    /// stream of wake-ups lets nobody work.
    static constexpr Nanoseconds least_turn = microseconds(100);

    static constexpr Nanoseconds slice_of(ThreadClass thread_class) {
        constexpr std::array<Nanoseconds, thread_class_count> slices = {milliseconds(5), milliseconds(10),
                                                                        milliseconds(20)};
        return slices[index(thread_class)];
    }
    static constexpr Nanoseconds patience_of(ThreadClass thread_class) {
        return thread_class == ThreadClass::cold ? milliseconds(50) : milliseconds(4);
    }

    /// No thread waits longer in a queue that has at most `ready` threads in it, this one included, if the
    /// CPU obeys preempt_at(). After `thread_patience` only those of its class that have waited longer go
    /// first, each once. Before each of them its class waits for its patience, for a slice that is under way,
    /// and for a grant to each of the other two classes; then it runs for a slice at most.
    static constexpr Nanoseconds starvation_bound(std::uint64_t ready) {
        const Nanoseconds slice = slice_of(ThreadClass::cold);
        return thread_patience + ready * (patience_of(ThreadClass::cold) + 2 * slice + 2 * grant);
    }

    explicit PredictiveQueue(unsigned cpu) : cpu_(static_cast<std::uint16_t>(cpu)) {}

    /// The thread becomes ready. A yielding one waits behind all that are ready now, whatever their class.
    void enqueue(ScheduledThread& thread, Arrival arrival, Nanoseconds now) {
        if (arrival == Arrival::woken) {
            thread.burst = 0;
            thread.woken_at = now;
        }
        if (arrival != Arrival::moved) thread.ready_since = now;
        const bool behind_all = arrival == Arrival::yielded;
        thread.turn = behind_all ? never : turn_of(thread, now);
        insert(thread, behind_all ? ThreadClass::cold : thread.thread_class,
               behind_all ? ReadyQueue::last_bucket : bucket_of(thread),
               arrival == Arrival::preempted && now < thread.slice_end);
    }

    /// A waiting thread leaves without having run.
    void dequeue(ScheduledThread& thread) {
        queues_[index(thread.queue)].remove(thread);
        thread.queued = false;
        --ready_;
        if (thread.thread_class == ThreadClass::cold) --ready_cold_;
    }

    /// Takes the thread that is to run now out of the queue; null when none is ready.
    ScheduledThread* pick_next(Nanoseconds now) {
        const Choice choice = choose(now);
        if (choice.thread == nullptr) return nullptr;
        ScheduledThread& thread = *choice.thread;
        note_picked(thread, choice.passed_over || choice.too_old, now);
        served_until_[index(thread.queue)] = now;
        dequeue(thread);
        start(thread, now);
        if (choice.passed_over || choice.too_old) {
            thread.protected_until = now + grant;
            thread.protected_from = choice.passed_over ? ThreadClass::hot : thread.thread_class;
        }
        return &thread;
    }

    /// Counts the running thread's time up to now. Its class follows as the burst runs on: a hog that never
    /// blocks becomes cold.
    void account(ScheduledThread& running, Nanoseconds now) {
        const Nanoseconds ran = now - std::min(now, running.charged_until);
        running.burst += ran;
        running.cpu_time += ran;
        running.charged_until = now;
        running.last_ran = now;
        served_until_[index(running.queue)] = now;
        reclassify(running);
    }

    /// The running thread's burst has ended: it waits for something, or has finished.
    void block(ScheduledThread& running, Nanoseconds now) {
        account(running, now);
        judge(running);
        running.prediction.observe(running.burst);
        running.burst = 0;
        reclassify(running);
    }

    /// Whether the running thread is to give way at once to one that has just come into this queue: then its
    /// CPU is to be interrupted. Account for the running thread first.
    bool should_preempt(const ScheduledThread& running, const ScheduledThread& woken, Nanoseconds now) const {
        return now >= least_turn_end(running) && comes_before(running, woken, now);
    }

    /// When the timer is to fire for the running thread; `never` while nobody waits. It may be in the past.
    Nanoseconds preempt_at(const ScheduledThread& running) const {
        if (ready_ == 0) return never;
        const Nanoseconds least = least_turn_end(running);
        // It runs before a hotter one only because its class had been passed over, or its turn is young.
        if (hotter_waits(running)) return std::max(least, running.protected_until);
        Nanoseconds at = running.slice_end;
        for (const ThreadClass other : classes)
            if (other != running.queue) at = std::min(at, impatient_at(other));
        at = is_granted(running) ? std::max(at, running.protected_until) : at;
        return running.charged_until < least && shorter_waits(running) ? std::min(at, least) : at;
    }

    /// Asked after account() whenever there is reason to: a thread has come into the queue, the timer has
    /// fired. Whether the running thread is to be enqueued as preempted. If not, and its slice is over, it
    /// has a new one.
    bool should_give_way(ScheduledThread& running, Nanoseconds now) {
        const Choice next = choose(now);
        if (next.thread == nullptr || (is_granted(running) && now < running.protected_until)) return false;
        if (next.passed_over) return true;
        if (now < running.slice_end) {
            if (!should_preempt(running, *next.thread, now)) return false;
            ++statistics_.preemptions;
            record(Decision::Kind::preempted, running, now);
            return true;
        }
        const bool is_its_turn =
            next.thread->queue < running.thread_class ||
            (next.thread->queue == running.thread_class && next.thread->turn <= turn_of(running, now));
        if (is_its_turn || (next.too_old && next.thread->queue <= running.thread_class)) return true;
        running.slice_end = now + slice_of(running.thread_class);
        return false;
    }

    /// Takes out the thread that another CPU may best have: of the coldest class the one that has waited
    /// longest. Null when none is ready.
    ScheduledThread* steal(Nanoseconds now) {
        for (const ThreadClass from : {ThreadClass::cold, ThreadClass::normal, ThreadClass::hot}) {
            ScheduledThread* const thread = queues_[index(from)].oldest();
            if (thread == nullptr) continue;
            ++statistics_.stolen;
            record(Decision::Kind::stolen, *thread, now);
            dequeue(*thread);
            return thread;
        }
        return nullptr;
    }

    /// Of all that wait; null when none does.
    ScheduledThread* oldest() const {
        ScheduledThread* oldest = nullptr;
        for (const ReadyQueue& queue : queues_) {
            ScheduledThread* const its = queue.oldest();
            if (its != nullptr && (oldest == nullptr || its->ready_since < oldest->ready_since)) oldest = its;
        }
        return oldest;
    }
    std::uint32_t ready() const { return ready_; }
    /// `running` is null when this CPU is idle.
    CpuLoad load(const ScheduledThread* running) const {
        CpuLoad load;
        load.ready = static_cast<std::uint16_t>(ready_);
        load.ready_cold = static_cast<std::uint16_t>(ready_cold_);
        if (running != nullptr) {
            load.running_class = static_cast<std::uint8_t>(running->thread_class);
            load.running_bucket = bucket_of(*running);
        }
        return load;
    }
    const SchedulerStatistics& statistics() const { return statistics_; }
    const DecisionTrace& trace() const { return trace_; }

    /// The CPU for a thread that wakes up: the one it ran on if that is idle, any idle one otherwise. Where
    /// none is idle, the one it has affinity to, unless another runs something that would give way to it at
    /// once and that one does not. `load(cpu)` gives a CpuLoad.
    template <class Loads>
    static unsigned choose_cpu(const ScheduledThread& thread, Nanoseconds now, CpuMask idle,
                               unsigned cpu_count, Loads&& load) {
        const bool has_run = thread.last_cpu < cpu_count;
        if (idle != 0) {
            const bool home_idle = has_run && (idle >> thread.last_cpu & 1) != 0;
            return home_idle ? thread.last_cpu : static_cast<unsigned>(std::countr_zero(idle));
        }
        unsigned best = 0;
        std::uint32_t least = ~0U;
        for (unsigned cpu = 0; cpu < cpu_count; ++cpu) {
            const std::uint32_t cost = cost_of(thread, cpu, load(cpu), now);
            if (cost < least) {
                least = cost;
                best = cpu;
            }
        }
        return best;
    }

  private:
    struct Choice {
        ScheduledThread* thread = nullptr;
        bool passed_over = false;  ///< its class has not run for too long
        bool too_old = false;      ///< it has waited too long in its class
    };

    static constexpr ThreadClass classes[] = {ThreadClass::hot, ThreadClass::normal, ThreadClass::cold};
    static constexpr std::size_t index(ThreadClass thread_class) {
        return static_cast<std::size_t>(thread_class);
    }

    /// Expected time to the end of the burst. A burst that has outrun its prediction is the less likely to
    /// end soon the further it has run: the rank rises again ("SRPT with bounce": Scully, Grosof,
    /// Mitzenmacher, Uniform Bounds for Scheduling with Job Size Estimates, ITCS 2022).
    static Nanoseconds rank(const ScheduledThread& thread) {
        const Nanoseconds expected = thread.prediction.burst();
        const Nanoseconds distance =
            thread.burst < expected ? expected - thread.burst : thread.burst - expected;
        return weigh(std::min(distance, Prediction::longest_burst), thread.hint);
    }
    /// Cold threads take turns: their bursts say little about when they will end.
    static Nanoseconds turn_of(const ScheduledThread& thread, Nanoseconds now) {
        const Nanoseconds since = thread.thread_class == ThreadClass::cold ? now : thread.woken_at;
        return since + 2 * rank(thread);
    }
    static std::uint8_t bucket_of(const ScheduledThread& thread) {
        return ReadyQueue::bucket_of(rank(thread));
    }

    static std::uint32_t order(ThreadClass thread_class, std::uint8_t bucket) {
        return static_cast<std::uint32_t>(thread_class) * ReadyQueue::bucket_count + bucket;
    }
    static std::uint32_t order(const ScheduledThread& waiting) {
        return order(waiting.queue, waiting.bucket);
    }

    static std::uint32_t cost_of(const ScheduledThread& thread, unsigned cpu, CpuLoad load, Nanoseconds now) {
        const std::uint32_t mine = order(thread.thread_class, bucket_of(thread));
        const std::uint32_t its =
            std::uint32_t{load.running_class} * ReadyQueue::bucket_count + load.running_bucket;
        const bool waits = mine >= its;
        const bool far = affinity_score(thread, cpu, now) <= preferred_affinity;
        return (waits ? 1U << 20 : 0U) + (far ? 1U << 18 : 0U) + load.ready;
    }

    void insert(ScheduledThread& thread, ThreadClass queue, std::uint8_t bucket, bool first) {
        thread.queue = queue;
        thread.queued = true;
        ReadyQueue& its = queues_[index(queue)];
        // A class that had nobody waiting has missed nothing.
        if (its.empty())
            served_until_[index(queue)] = std::max(served_until_[index(queue)], thread.ready_since);
        its.insert(thread, bucket, first);
        ++ready_;
        if (thread.thread_class == ThreadClass::cold) ++ready_cold_;
    }

    bool hotter_waits(const ScheduledThread& running) const {
        for (const ThreadClass hotter : classes)
            if (hotter < running.thread_class && !queues_[index(hotter)].empty()) return true;
        return false;
    }

    /// Of the same class, one that has been put off by the running thread's least turn.
    bool shorter_waits(const ScheduledThread& running) const {
        const ReadyQueue& equals = queues_[index(running.thread_class)];
        return !equals.empty() && comes_before(running, *equals.next(), running.charged_until);
    }

    static Nanoseconds least_turn_end(const ScheduledThread& running) {
        return running.running_since + least_turn;
    }

    /// Whether a woken thread is worth more than what the running one has begun.
    static bool comes_before(const ScheduledThread& running, const ScheduledThread& woken, Nanoseconds now) {
        if (now < running.protected_until && woken.thread_class >= running.protected_from) return false;
        if (woken.thread_class != running.thread_class) return woken.thread_class < running.thread_class;
        if (woken.thread_class == ThreadClass::cold) return false;
        const bool far_shorter = ReadyQueue::is_far_shorter(bucket_of(woken), bucket_of(running));
        return rank(woken) + least_gain < rank(running) &&
               (far_shorter || turn_of(woken, now) + least_gain < turn_of(running, now));
    }

    /// When a class will have been passed over too long; `never` when nobody waits in it.
    Nanoseconds impatient_at(ThreadClass thread_class) const {
        if (queues_[index(thread_class)].empty()) return never;
        return served_until_[index(thread_class)] + patience_of(thread_class);
    }

    Choice choose(Nanoseconds now) const {
        if (ready_ == 0) return {};
        // Whoever has been passed over longest among the classes that have been passed over too long.
        const ReadyQueue* from = nullptr;
        Nanoseconds earliest = now + 1;
        for (const ThreadClass thread_class : classes) {
            const ReadyQueue& queue = queues_[index(thread_class)];
            if (queue.empty()) continue;
            if (from == nullptr) from = &queue;
            if (const Nanoseconds at = impatient_at(thread_class); at < earliest) {
                earliest = at;
                from = &queue;
            }
        }
        const bool passed_over = earliest <= now;
        ScheduledThread* const oldest = from->oldest();
        const bool too_old = now >= oldest->ready_since + thread_patience;
        return {too_old ? oldest : from->next(), passed_over, too_old};
    }

    void start(ScheduledThread& thread, Nanoseconds now) {
        thread.last_cpu = cpu_;
        thread.charged_until = now;
        thread.running_since = now;
        thread.slice_end = now + slice_of(thread.thread_class);
        thread.protected_until = now;
    }
    /// Whether it runs because its class had been passed over.
    static bool is_granted(const ScheduledThread& running) {
        return running.protected_from == ThreadClass::hot;
    }

    void reclassify(ScheduledThread& thread) {
        const Nanoseconds expected =
            std::max(thread.prediction.burst(), std::min(thread.burst, Prediction::longest_burst));
        const ThreadClass now_in = class_of(weigh(expected, thread.hint));
        if (now_in == thread.thread_class) return;
        thread.thread_class = now_in;
        ++statistics_.reclassifications;
    }

    /// How good the prediction was, before it learns.
    void judge(const ScheduledThread& thread) {
        const Nanoseconds actual = std::min(thread.burst, Prediction::longest_burst);
        const auto [less, more] = std::minmax({actual, thread.prediction.burst()});
        ++statistics_.bursts;
        statistics_.accuracy_sum += more == 0 ? 1000 : less * 1000 / more;
        if (class_of(actual) == class_of(thread.prediction.burst())) ++statistics_.class_foreseen;
    }

    void note_picked(const ScheduledThread& thread, bool for_age, Nanoseconds now) {
        ++statistics_.scheduled[index(thread.thread_class)];
        if (for_age) ++statistics_.aged;
        if (affinity_score(thread, cpu_, now) > preferred_affinity) ++statistics_.affinity_hits;
        record(for_age ? Decision::Kind::picked_for_age : Decision::Kind::picked, thread, now);
    }

    void record(Decision::Kind kind, const ScheduledThread& thread, Nanoseconds now) {
        trace_.record({.time = now,
                       .waited = thread.queued ? now - std::min(now, thread.ready_since) : 0,
                       .prediction = std::max(thread.prediction.burst(), thread.burst),
                       .thread = thread.id,
                       .ready = static_cast<std::uint16_t>(ready_),
                       .thread_class = thread.thread_class,
                       .kind = kind});
    }

    std::array<ReadyQueue, thread_class_count> queues_;
    std::array<Nanoseconds, thread_class_count> served_until_{};  ///< when a thread of it last had the CPU
    std::uint32_t ready_ = 0;
    std::uint32_t ready_cold_ = 0;
    std::uint16_t cpu_;
    SchedulerStatistics statistics_;
    DecisionTrace trace_;
};

}  // namespace exo::guest
