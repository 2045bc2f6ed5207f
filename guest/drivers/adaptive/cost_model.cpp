#include "guest/drivers/adaptive/cost_model.h"

#include <algorithm>

#include "guest/drivers/time_source.h"

namespace exo::guest {
namespace {

/// A request waits no longer than this for others to be told of with it.
constexpr std::uint64_t longest_gathering_ns = 100'000;
constexpr std::uint32_t most_batched = 32;

struct Outcome {
    std::uint64_t latency_ns;
    std::uint64_t cpu_ns;
};

/// What an operation costs the CPU by interrupt, when each tells of `batch` at least.
std::uint64_t interrupt_cpu_ns(const Observation& seen, std::uint32_t batch) {
    return shared_cpu_ns(seen.interrupt_cpu_ns, seen.polling_cpu_ns, std::max(batch, seen.told_together));
}

/// One request that the device takes `service` for. The interrupt stays armed during a first sleep, so it
/// cannot make a request later than the interrupt would.
Outcome outcome_of(std::uint64_t service, const Observation& seen, const IoPlan& plan) {
    const Outcome by_interrupt{service + seen.interrupt_overhead_ns, interrupt_cpu_ns(seen, 1)};
    if (plan.poll_budget_ns == 0 || service < plan.first_sleep_ns) return by_interrupt;
    const bool sleeps_first = plan.first_sleep_ns > 0;
    const std::uint64_t begin =
        sleeps_first ? std::uint64_t{plan.first_sleep_ns} + seen.interrupt_overhead_ns : 0;
    const std::uint64_t timer = sleeps_first ? seen.timer_cpu_ns : 0;
    const std::uint64_t seen_at = std::max(service + seen.polling_overhead_ns, begin);
    const std::uint64_t spin = seen_at - begin;
    if (plan.poll_budget_ns == no_poll_limit || spin <= plan.poll_budget_ns)
        return {seen_at, timer + seen.polling_cpu_ns + spin / seen.depth};
    return {by_interrupt.latency_ns, timer + by_interrupt.cpu_ns + plan.poll_budget_ns / seen.depth};
}

std::uint64_t gathering_ns(const Observation& seen, std::uint32_t batch) {
    if (batch <= 1) return 0;
    if (seen.rate == 0) return longest_gathering_ns;
    return std::min((batch - 1) * ns_per_s / (2 * seen.rate), longest_gathering_ns);
}

std::uint32_t clamp_to_budget(std::uint64_t ns) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(ns, no_poll_limit - 1));
}

class Search {
  public:
    Search(const Observation& seen, const DurationHistogram& service, CpuPrice price, IoModeSet modes)
        : seen_(seen), service_(service), price_(price), modes_(modes) {}

    void consider(const IoPlan& plan) {
        if (!modes_.has(plan.mode)) return;
        const std::uint64_t cost = weigh(predict(seen_, service_, plan), seen_, price_);
        if (cost >= least_) return;
        least_ = cost;
        best_ = plan;
    }

    const IoPlan& best() const { return best_; }

  private:
    const Observation& seen_;
    const DurationHistogram& service_;
    CpuPrice price_;
    IoModeSet modes_;
    std::uint64_t least_ = ~std::uint64_t{0};
    IoPlan best_;
};

}  // namespace

std::uint64_t shared_cpu_ns(std::uint64_t alone_ns, std::uint64_t own_ns, std::uint32_t together) {
    const std::uint64_t own = std::min(own_ns, alone_ns);
    return own + (alone_ns - own) / std::max(together, 1u);
}

IoCost predict(const Observation& observed, const DurationHistogram& service, const IoPlan& plan) {
    Observation seen = observed;
    seen.depth = std::max(seen.depth, 1u);
    IoCost sum;
    for (std::size_t bucket = 0; bucket < DurationHistogram::bucket_count; ++bucket) {
        const std::uint64_t count = service.count(bucket);
        if (count == 0) continue;
        const Outcome one = outcome_of(DurationHistogram::middle(bucket), seen, plan);
        sum.latency_ns += count * one.latency_ns;
        sum.cpu_ns += count * one.cpu_ns;
    }
    const std::uint64_t total = std::max<std::uint64_t>(service.total(), 1);
    IoCost mean{sum.latency_ns / total, sum.cpu_ns / total};
    if (plan.mode == IoMode::batch) {
        mean.latency_ns += gathering_ns(seen, plan.batch);
        mean.cpu_ns = interrupt_cpu_ns(seen, plan.batch);
    }
    return mean;
}

std::uint64_t weigh(const IoCost& cost, const Observation& seen, CpuPrice price) {
    const std::uint64_t thousandths = price.thousandths + std::uint64_t{1000} * seen.runnable;
    return cost.latency_ns + cost.cpu_ns * thousandths / 1000;
}

IoPlan cheapest_plan(const Observation& seen, const DurationHistogram& service, CpuPrice price,
                     IoModeSet modes) {
    Search search(seen, service, price, modes);
    search.consider(fixed_plan(IoMode::interrupt));
    search.consider(fixed_plan(IoMode::polling));
    for (std::uint32_t batch = 2; batch <= std::min(seen.depth, most_batched); batch *= 2)
        search.consider({.mode = IoMode::batch, .batch = batch});
    for (const std::uint32_t share : {500u, 750u, 900u, 990u}) {
        const std::uint64_t until = service.quantile(share) + service.quantile(share) / 8;
        search.consider(
            {.mode = IoMode::hybrid, .poll_budget_ns = clamp_to_budget(until + seen.polling_overhead_ns)});
    }
    // The timer may fire when even the quick requests are still in the device, less what waking takes.
    const std::uint64_t quick = service.quantile(50);
    if (seen.timer_cpu_ns > 0 && quick > 2 * std::uint64_t{seen.interrupt_overhead_ns})
        search.consider({.mode = IoMode::hybrid,
                         .poll_budget_ns = clamp_to_budget(service.quantile(990)),
                         .first_sleep_ns = clamp_to_budget(quick - quick / 8 - seen.interrupt_overhead_ns)});
    return search.best();
}

}  // namespace exo::guest
