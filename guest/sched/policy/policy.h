// What a scheduling policy is to the kernel, and which one it uses.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>

#include "guest/sched/policy/predictive_queue.h"
#include "guest/sched/policy/round_robin_queue.h"

// The build says which one is used unless the command line names one (CMake option EXO_PREDICTIVE_SCHEDULER).
#ifndef EXO_PREDICTIVE_SCHEDULER
#define EXO_PREDICTIVE_SCHEDULER 1
#endif

namespace exo::guest {

/// The policy of one CPU with its run queue. PredictiveQueue says what each call means.
template <class Queue>
concept SchedulingPolicy = std::constructible_from<Queue, unsigned> &&
                           requires(Queue queue, const Queue& view, ScheduledThread& thread, Nanoseconds now,
                                    CpuLoad (*load)(unsigned)) {
                               queue.enqueue(thread, Arrival::woken, now);
                               queue.dequeue(thread);
                               { queue.pick_next(now) } -> std::same_as<ScheduledThread*>;
                               queue.account(thread, now);
                               queue.block(thread, now);
                               { view.should_preempt(thread, thread, now) } -> std::same_as<bool>;
                               { view.preempt_at(thread) } -> std::same_as<Nanoseconds>;
                               { queue.should_give_way(thread, now) } -> std::same_as<bool>;
                               { queue.steal(now) } -> std::same_as<ScheduledThread*>;
                               { view.ready() } -> std::same_as<std::uint32_t>;
                               { view.load(&thread) } -> std::same_as<CpuLoad>;
                               { view.statistics() } -> std::same_as<const SchedulerStatistics&>;
                               { view.trace() } -> std::same_as<const DecisionTrace&>;
                               {
                                   Queue::choose_cpu(thread, now, CpuMask{}, 1U, load)
                               } -> std::same_as<unsigned>;
                               { Queue::starvation_bound(1) } -> std::same_as<Nanoseconds>;
                           };

static_assert(SchedulingPolicy<PredictiveQueue> && SchedulingPolicy<RoundRobinQueue>);

enum class PolicyKind : std::uint8_t { predictive, round_robin };

inline constexpr PolicyKind default_policy =
    EXO_PREDICTIVE_SCHEDULER != 0 ? PolicyKind::predictive : PolicyKind::round_robin;

constexpr std::string_view name_of(PolicyKind kind) {
    return kind == PolicyKind::predictive ? "predictive" : "round-robin";
}

/// From the command line's `scheduler=…`; nothing for a name that no policy has.
constexpr std::optional<PolicyKind> policy_named(std::string_view name) {
    for (const PolicyKind kind : {PolicyKind::predictive, PolicyKind::round_robin})
        if (name == name_of(kind)) return kind;
    return std::nullopt;
}

/// A run queue whose policy is chosen while the kernel runs. All CPUs use the same kind.
class RunQueue {
    template <class Do>
    decltype(auto) visit(Do&& act) {
        return kind_ == PolicyKind::predictive ? act(predictive_) : act(round_robin_);
    }
    template <class Do>
    decltype(auto) visit(Do&& act) const {
        return kind_ == PolicyKind::predictive ? act(predictive_) : act(round_robin_);
    }

  public:
    explicit RunQueue(unsigned cpu, PolicyKind kind = default_policy)
        : kind_(kind), predictive_(cpu), round_robin_(cpu) {}

    PolicyKind kind() const { return kind_; }
    /// Who waits goes on waiting: into the other policy's queue come the eldest first.
    void use(PolicyKind kind, Nanoseconds now) {
        if (kind == kind_) return;
        const auto move_all = [now](auto& from, auto& to) {
            while (ScheduledThread* const thread = from.oldest()) {
                from.dequeue(*thread);
                to.enqueue(*thread, Arrival::moved, now);
            }
        };
        kind == PolicyKind::predictive ? move_all(round_robin_, predictive_)
                                       : move_all(predictive_, round_robin_);
        kind_ = kind;
    }

    void enqueue(ScheduledThread& thread, Arrival arrival, Nanoseconds now) {
        visit([&](auto& queue) { queue.enqueue(thread, arrival, now); });
    }
    void dequeue(ScheduledThread& thread) {
        visit([&](auto& queue) { queue.dequeue(thread); });
    }
    ScheduledThread* pick_next(Nanoseconds now) {
        return visit([&](auto& queue) { return queue.pick_next(now); });
    }
    void account(ScheduledThread& running, Nanoseconds now) {
        visit([&](auto& queue) { queue.account(running, now); });
    }
    void block(ScheduledThread& running, Nanoseconds now) {
        visit([&](auto& queue) { queue.block(running, now); });
    }
    bool should_preempt(const ScheduledThread& running, const ScheduledThread& woken, Nanoseconds now) const {
        return visit([&](const auto& queue) { return queue.should_preempt(running, woken, now); });
    }
    Nanoseconds preempt_at(const ScheduledThread& running) const {
        return visit([&](const auto& queue) { return queue.preempt_at(running); });
    }
    bool should_give_way(ScheduledThread& running, Nanoseconds now) {
        return visit([&](auto& queue) { return queue.should_give_way(running, now); });
    }
    ScheduledThread* steal(Nanoseconds now) {
        return visit([&](auto& queue) { return queue.steal(now); });
    }
    std::uint32_t ready() const {
        return visit([](const auto& queue) { return queue.ready(); });
    }
    CpuLoad load(const ScheduledThread* running) const {
        return visit([&](const auto& queue) { return queue.load(running); });
    }
    const SchedulerStatistics& statistics() const {
        return visit([](const auto& queue) -> const SchedulerStatistics& { return queue.statistics(); });
    }
    const DecisionTrace& trace() const {
        return visit([](const auto& queue) -> const DecisionTrace& { return queue.trace(); });
    }

    /// The CPU for a thread that wakes up.
    template <class Loads>
    static unsigned choose_cpu(PolicyKind kind, const ScheduledThread& thread, Nanoseconds now, CpuMask idle,
                               unsigned cpu_count, Loads&& load) {
        return kind == PolicyKind::predictive
                   ? PredictiveQueue::choose_cpu(thread, now, idle, cpu_count, load)
                   : RoundRobinQueue::choose_cpu(thread, now, idle, cpu_count, load);
    }

  private:
    PolicyKind kind_;
    PredictiveQueue predictive_;
    RoundRobinQueue round_robin_;
};

}  // namespace exo::guest
