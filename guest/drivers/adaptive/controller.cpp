#include "guest/drivers/adaptive/controller.h"

#include <algorithm>

#include "guest/drivers/time_source.h"

namespace exo::guest {
namespace {

/// A choice is reviewed after so many samples, or so long.
constexpr std::uint32_t review_samples = 32;
constexpr std::uint64_t review_ns = 5 * ns_per_ms;
constexpr std::uint32_t few_samples = 4;
/// One operation in so many tries the other way of waiting; more often at first.
constexpr std::uint64_t probe_interval = 1024;
constexpr std::uint32_t longest_interval = 16;
/// A probe polls no longer than this, whatever the device says.
constexpr std::uint32_t longest_probe_ns = 200'000;
constexpr std::uint32_t depth_unit = 16;
/// So many samples in a row far from all others: the device is not what it was.
constexpr std::uint32_t strangers_in_a_row = 8;

/// What the modes are chosen by while nothing has been measured: the thresholds of the original design.
constexpr std::uint64_t prior_polling_rate = 10'000;
constexpr std::uint64_t prior_interrupt_rate = 1'000;

}  // namespace

Controller::Controller(const Settings& settings) : settings_(settings) {
    plan_ = prior();
}

void Controller::configure(const Settings& settings, std::uint64_t now_ns) {
    settings_ = settings;
    if (settings_.fixed || !settings_.has_interrupt) adopt(prior(), now_ns);
}

IoPlan Controller::prior() const {
    if (!settings_.has_interrupt) return fixed_plan(IoMode::polling);
    if (settings_.fixed) return fixed_plan(*settings_.fixed);
    if (observation_.rate > prior_polling_rate) return fixed_plan(IoMode::polling);
    const bool between = observation_.rate >= prior_interrupt_rate && settings_.modes.has(IoMode::hybrid);
    return fixed_plan(between ? IoMode::hybrid : IoMode::interrupt);
}

bool Controller::start_sample() {
    until_sample_ = interval_;
    // Those that are handed over together are waited for together.
    if (probing_ && !probe_ended_) return true;
    probing_ = false;
    if (settings_.fixed || !settings_.has_interrupt || operations_ < next_probe_) return true;
    const bool unknown = tried_sleeping_ < few_samples || tried_polling_ < few_samples;
    probe_spacing_ = unknown ? 1 : std::min(2 * probe_spacing_, probe_interval);
    next_probe_ = operations_ + probe_spacing_;
    choose_probe();
    return true;
}

/// The way that has been seen less of late.
void Controller::choose_probe() {
    const bool try_sleeping = recently_polled_ > recently_slept_;
    recently_polled_ = recently_slept_ = 0;
    probing_ = true;
    probe_ended_ = false;
    if (try_sleeping) {
        probe_ = fixed_plan(IoMode::interrupt);
        return;
    }
    const std::uint64_t expected = service_.quantile(900) + polling_overhead_.value();
    const std::uint64_t budget = service_.total() == 0 ? longest_probe_ns : 2 * expected;
    probe_ = {.mode = IoMode::hybrid,
              .poll_budget_ns = clamp_ns(std::min<std::uint64_t>(budget, longest_probe_ns))};
}

bool Controller::sample(const IoSample& sample, std::uint64_t now_ns, std::uint32_t depth,
                        std::uint32_t runnable) {
    learn(sample, now_ns);
    probe_ended_ = true;
    depth_.add(std::max(depth, 1u) * depth_unit);
    runnable_ = runnable;
    statistics_[index(plan_.mode)].latency.add(sample.latency_ns);
    if (!probing_) trial_.add(cost_of(sample, depth), std::max(depth, 1u));
    ++samples_;
    const bool enough = samples_ >= review_samples || now_ns - evaluated_ns_ >= review_ns;
    return enough && evaluate(now_ns);
}

/// A device that does not tell how long it took is known by what polling sees; one that polling has never
/// seen end is taken to need all the time that passed.
void Controller::learn(const IoSample& sample, std::uint64_t now_ns) {
    const bool told = sample.service_ns != 0;
    std::uint64_t service = std::min(sample.service_ns, sample.latency_ns);
    if (!told) service = sample.slept && seen_polled_ ? service_.quantile(500) : sample.latency_ns;
    const std::uint64_t overhead = sample.latency_ns > service ? sample.latency_ns - service : 0;
    if (told || !sample.slept || !seen_polled_) add_service(service, now_ns - sample.latency_ns, now_ns);
    if (!sample.slept) seen_polled_ = true;
    const bool polled = plan(true).poll_budget_ns > 0;
    ++(polled ? tried_polling_ : tried_sleeping_);
    ++(polled ? recently_polled_ : recently_slept_);
    // What is told of together says nothing of what one costs.
    if (plan_.mode == IoMode::batch && !probing_) return;
    (sample.slept ? interrupt_overhead_ : polling_overhead_).add(clamp_ns(overhead));
    (sample.slept ? interrupt_cpu_ : polling_cpu_).add(clamp_ns(sample.cpu_ns));
    if (sample.slept) told_together_.add(sample.together);
}

/// With what its waiter spun, for as many as were waited for, and its share of the interrupt.
IoCost Controller::cost_of(const IoSample& sample, std::uint32_t depth) const {
    const std::uint64_t cpu_ns = shared_cpu_ns(sample.cpu_ns, polling_cpu_.value(), sample.together);
    const std::uint64_t spun = std::min<std::uint64_t>(
        plan_.poll_budget_ns,
        sample.latency_ns - std::min<std::uint64_t>(plan_.first_sleep_ns, sample.latency_ns));
    return {.latency_ns = sample.latency_ns, .cpu_ns = cpu_ns + spun / std::max(depth, 1u)};
}

/// Of requests that were under way together one says as much as all: one pause makes all of them late.
void Controller::add_service(std::uint64_t ns, std::uint64_t start_ns, std::uint64_t end_ns) {
    const bool strange = usual_ns_ != 0 && (ns > 4 * usual_ns_ || 4 * ns < usual_ns_);
    if (!strange) strangers_ = 0;
    if (strange && start_ns >= stranger_ended_ns_) {
        stranger_ended_ns_ = end_ns;
        ++strangers_;
    }
    if (strangers_ == strangers_in_a_row) {
        strangers_ = 0;
        service_.clear();
        trial_.forget_usual();
    }
    service_.add(ns);
}

/// Lets what is old weigh less.
void Controller::age_service() {
    usual_ns_ = service_.quantile(500);
    if (service_.total() >= 2 * review_samples) service_.age();
}

bool Controller::knows_both_ways() const {
    return tried_sleeping_ >= few_samples / 2 && tried_polling_ >= few_samples / 2;
}

void Controller::observe(std::uint64_t now_ns) {
    rate_.add(now_ns, operations_ - settled_operations_);
    settle(now_ns);
    observation_ = {
        .rate = rate_.per_second(now_ns),
        .depth = std::max((depth_.value() + depth_unit / 2) / depth_unit, 1u),
        .runnable = runnable_,
        .told_together = std::max(told_together_.value(), 1u),
        .interrupt_overhead_ns = interrupt_overhead_.value(),
        .polling_overhead_ns = polling_overhead_.value(),
        .interrupt_cpu_ns = interrupt_cpu_.value(),
        .polling_cpu_ns = polling_cpu_.value(),
        .timer_cpu_ns = settings_.has_timer_sleep ? interrupt_cpu_.value() : 0,
    };
}

/// Books what has happened since the last time on the mode in force.
void Controller::settle(std::uint64_t now_ns) {
    IoModeStatistics& now = statistics_[index(plan_.mode)];
    now.operations += operations_ - settled_operations_;
    settled_operations_ = operations_;
    if (settled_ns_ != 0 && now_ns > settled_ns_) now.time_ns += now_ns - settled_ns_;
    settled_ns_ = now_ns;
}

/// What a plan costs beyond the time that the device takes in any case.
std::uint64_t Controller::excess_of(const IoPlan& plan) const {
    const std::uint64_t cost = weigh(predict(observation_, service_, plan), observation_, settings_.price);
    return cost - std::min(service_.mean(), cost);
}

bool Controller::evaluate(std::uint64_t now_ns) {
    const std::uint64_t ended = operations_ - settled_operations_;
    const std::uint64_t ms = std::max<std::uint64_t>((now_ns - evaluated_ns_) / ns_per_ms, 1);
    interval_ = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(ended / ms, 1, longest_interval));
    observe(now_ns);
    evaluated_ns_ = now_ns;
    samples_ = 0;
    if (settings_.fixed || !settings_.has_interrupt) return adopt(prior(), now_ns);
    if (!knows_both_ways()) return adopt(prior(), now_ns);
    const IoPlan best = choose(now_ns);
    age_service();
    return adopt(best, now_ns);
}

IoPlan Controller::choose(std::uint64_t now_ns) {
    const auto back = trial_.review(plan_, observation_, settings_.price, now_ns, operations_);
    if (back) return *back;
    if (trial_.under_way()) return plan_;
    const IoModeSet modes = trial_.allowed(settings_.modes);
    const IoPlan best = cheapest_plan(observation_, service_, settings_.price, modes);
    if (best.mode == plan_.mode) return explore().value_or(best);
    const std::uint64_t now_costs = excess_of(plan_);
    const bool much_cheaper = excess_of(best) + now_costs * settings_.hysteresis_percent / 100 <= now_costs;
    return much_cheaper && now_ns - changed_ns_ >= settings_.dwell_ns ? best : plan_;
}

/// The best plan of the other way of waiting, when a trial of it is due and would not be dear.
std::optional<IoPlan> Controller::explore() {
    if (!trial_.exploration_due()) return std::nullopt;
    trial_.explored();
    const bool sleeps = plan_.poll_budget_ns == 0;
    const IoModeSet others = sleeps ? settings_.modes.without(IoMode::interrupt).without(IoMode::batch)
                                    : settings_.modes.without(IoMode::polling).without(IoMode::hybrid);
    const IoPlan other = cheapest_plan(observation_, service_, settings_.price, others);
    const auto cost = [&](const IoPlan& plan) {
        return weigh(predict(observation_, service_, plan), observation_, settings_.price);
    };
    if (cost(other) > 3 * cost(plan_) / 2) return std::nullopt;
    return other;
}

bool Controller::adopt(const IoPlan& plan, std::uint64_t now_ns) {
    if (plan == plan_) return false;
    settle(now_ns);
    if (plan.mode != plan_.mode) {
        ++switches_;
        changed_ns_ = now_ns;
        trial_.changed(plan_, now_ns, operations_);
    }
    plan_ = plan;
    return true;
}

IoModeStatistics Controller::statistics(IoMode mode, std::uint64_t now_ns) {
    rate_.add(now_ns, operations_ - settled_operations_);
    settle(now_ns);
    return statistics_[index(mode)];
}

}  // namespace exo::guest
