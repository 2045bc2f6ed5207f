#include "tests/sim/block/replay.h"

#include <algorithm>
#include <queue>
#include <utility>

namespace exo::sim {
namespace {

class Replay {
  public:
    Replay(const BlockTrace& trace, ReplayPolicy& policy, const ReplayCosts& costs)
        : trace_(trace), policy_(policy), costs_(costs), waiters_(trace.size()) {
        result_.latencies.resize(trace.size());
    }

    ReplayResult run() {
        for (std::size_t next = 0; next < trace_.size() || !events_.empty();) {
            const bool submits =
                next < trace_.size() && (events_.empty() || trace_[next].submit_ns <= events_.top().at);
            if (submits) {
                now_ = trace_[next].submit_ns;
                submit(next++);
            } else {
                const Event event = events_.top();
                events_.pop();
                now_ = event.at;
                (this->*event.action)(event.request);
            }
        }
        result_.cpu_ns += result_.spin_ns;
        result_.switches = policy_.switches();
        return std::move(result_);
    }

  private:
    struct Waiter {
        WaitPlan how;
        std::uint32_t depth = 0;
        bool timed = false;
        bool polls = false;
        bool told = false;
    };
    using Action = void (Replay::*)(std::size_t request);
    struct Event {
        std::uint64_t at;
        std::uint64_t order;  // those of one moment happen as they were planned
        Action action;
        std::size_t request;
        bool operator>(const Event& other) const {
            return std::pair(at, order) > std::pair(other.at, other.order);
        }
    };

    void plan(std::uint64_t delay, Action action, std::size_t request) {
        events_.push({now_ + delay, order_++, action, request});
    }

    void submit(std::size_t request) {
        Waiter& waiter = waiters_[request];
        waiter.how = policy_.begin(now_, waiter.timed);
        waiter.depth = ++outstanding_;
        how_ = waiter.how;
        ++in_device_;
        result_.cpu_ns += costs_.operation_cpu;
        plan(trace_[request].service_ns, &Replay::device_ends, request);
        const guest::IoPlan& plan_of_it = waiter.how.plan;
        if (plan_of_it.poll_budget_ns == 0) return;
        if (plan_of_it.first_sleep_ns == 0) return start_polling(request);
        plan(plan_of_it.first_sleep_ns + costs_.interrupt_latency, &Replay::timer_fires, request);
    }

    void timer_fires(std::size_t request) {
        result_.cpu_ns += costs_.interrupt_cpu;
        if (!waiters_[request].told) start_polling(request);
    }

    void start_polling(std::size_t request) {
        waiters_[request].polls = true;
        if (pollers_++ == 0) polling_since_ = now_;
        const std::uint32_t budget = waiters_[request].how.plan.poll_budget_ns;
        if (budget != guest::no_poll_limit) plan(budget, &Replay::stop_polling, request);
        if (!ended_.empty()) plan(costs_.poll_latency, &Replay::look, request);
    }

    void stop_polling(std::size_t request) {
        if (!std::exchange(waiters_[request].polls, false)) return;
        if (--pollers_ == 0) result_.spin_ns += now_ - polling_since_;
    }

    void device_ends(std::size_t request) {
        --in_device_;
        ended_.push_back(request);
        if (pollers_ > 0) return plan(costs_.poll_latency, &Replay::look, request);
        const bool told_now = trace_[request].urgent || in_device_ == 0 || ended_.size() >= how_.plan.batch;
        if (told_now) return interrupt(request);
        if (ended_.size() == 1) plan(how_.gather_ns, &Replay::gathered_long_enough, request);
    }

    void gathered_long_enough(std::size_t request) {
        if (!waiters_[request].told) interrupt(request);
    }

    void interrupt(std::size_t request) {
        if (std::exchange(interrupt_under_way_, true)) return;
        plan(costs_.interrupt_latency, &Replay::deliver, request);
    }

    void deliver(std::size_t) {
        interrupt_under_way_ = false;
        ++result_.interrupts;
        result_.cpu_ns += costs_.interrupt_cpu;
        policy_.interrupted(now_, ended_.size());
        tell(true);
    }

    void look(std::size_t) { tell(false); }

    void tell(bool slept) {
        const std::uint64_t share = slept && !ended_.empty() ? costs_.interrupt_cpu / ended_.size() : 0;
        for (const std::size_t request : std::exchange(ended_, {})) {
            Waiter& waiter = waiters_[request];
            waiter.told = true;
            --outstanding_;
            stop_polling(request);
            const std::uint64_t latency = now_ - trace_[request].submit_ns;
            result_.latencies[request] = latency;
            policy_.end(now_);
            if (!waiter.timed) continue;
            policy_.sample({.latency_ns = latency,
                            .service_ns = trace_[request].service_ns,
                            .cpu_ns = costs_.operation_cpu + share,
                            .slept = slept},
                           now_, waiter.depth);
        }
    }

    const BlockTrace& trace_;
    ReplayPolicy& policy_;
    const ReplayCosts& costs_;
    std::vector<Waiter> waiters_;
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
    std::uint64_t order_ = 0;
    std::uint64_t now_ = 0;
    WaitPlan how_;  // what the driver has last told the device
    std::uint32_t outstanding_ = 0;
    std::size_t in_device_ = 0;
    std::vector<std::size_t> ended_;  // in the device, and nobody knows yet
    bool interrupt_under_way_ = false;
    std::size_t pollers_ = 0;
    std::uint64_t polling_since_ = 0;
    ReplayResult result_;
};

}  // namespace

std::uint64_t ReplayResult::quantile_ns(std::uint32_t parts) const {
    if (latencies.empty()) return 0;
    std::vector<std::uint64_t> sorted = latencies;
    const std::size_t rank = std::max<std::size_t>((sorted.size() * parts + 999) / 1'000, 1) - 1;
    std::ranges::nth_element(sorted, sorted.begin() + static_cast<std::ptrdiff_t>(rank));
    return sorted[rank];
}

double ReplayResult::cpu_per_operation_ns() const {
    return latencies.empty() ? 0 : static_cast<double>(cpu_ns) / static_cast<double>(latencies.size());
}

double ReplayResult::cost(guest::CpuPrice price) const {
    return static_cast<double>(median_ns()) + cpu_per_operation_ns() * price.thousandths / 1'000;
}

ReplayResult replay(const BlockTrace& trace, ReplayPolicy& policy, const ReplayCosts& costs) {
    return Replay(trace, policy, costs).run();
}

}  // namespace exo::sim
