#include "vmm/tune/comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace exo::vmm::tune {
namespace {

constexpr double worth_a_change = 0.95;
/// Below a clock's step a cost is no figure to divide by.
constexpr double least_cost_ns = 1;

template <typename T>
T median(std::vector<T> values) {
    if (values.empty()) return {};
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

template <typename Record, typename T>
T median_of_member(std::span<const Record> records, T Record::* member, bool skip_zero) {
    std::vector<T> values;
    for (const Record& record : records)
        if (!skip_zero || record.*member != T{}) values.push_back(record.*member);
    return median(std::move(values));
}

double ratio_to_least(std::span<const std::vector<double>> costs, std::size_t which, std::size_t load) {
    double least = std::numeric_limits<double>::infinity();
    for (const std::vector<double>& one : costs) least = std::min(least, one[load]);
    return std::max(costs[which][load], least_cost_ns) / std::max(least, least_cost_ns);
}

Choice rate(std::span<const std::vector<double>> costs, std::size_t which) {
    Choice choice{.index = which};
    double logarithms = 0;
    for (std::size_t load = 0; load < costs[which].size(); ++load) {
        const double ratio = ratio_to_least(costs, which, load);
        logarithms += std::log(ratio);
        choice.worst_ratio = std::max(choice.worst_ratio, ratio);
    }
    if (!costs[which].empty())
        choice.mean_ratio = std::exp(logarithms / static_cast<double>(costs[which].size()));
    return choice;
}

/// Which of some series is best for the controller; the first is the usual one. All have the loads of the
/// last.
std::size_t best_series(std::span<const Series* const> all, std::size_t price) {
    const std::vector<Load> loads = all.back()->loads();
    std::vector<std::vector<double>> costs;
    for (const Series* const one : all)
        costs.push_back(one->costs(adaptive_ways[price], loads, prices[price]));
    return choose(costs, 0).index;
}

}  // namespace

Measurement Cell::median() const {
    const auto of = [&](double Measurement::* member) {
        return median_of_member(std::span(rounds), member, false);
    };
    return {.p50_ns = of(&Measurement::p50_ns),
            .p99_ns = of(&Measurement::p99_ns),
            .guest_cpu_ns = of(&Measurement::guest_cpu_ns),
            .host_cpu_ns = of(&Measurement::host_cpu_ns),
            .rate = of(&Measurement::rate)};
}

void Series::add(std::span<const MeasuredStep> steps) {
    for (const auto& [step, measurement] : steps) {
        auto cell = std::ranges::find_if(
            cells_, [&](const Cell& one) { return one.way == step.way && one.load == step.load; });
        if (cell == cells_.end()) cell = cells_.insert(cells_.end(), {step.way, step.load, {}});
        cell->rounds.push_back(measurement);
    }
}

std::vector<Load> Series::loads() const {
    std::vector<Load> loads;
    for (const Cell& cell : cells_)
        if (std::ranges::find(loads, cell.load) == loads.end()) loads.push_back(cell.load);
    return loads;
}

const Cell* Series::find(const Way& way, const Load& load) const {
    const auto cell =
        std::ranges::find_if(cells_, [&](const Cell& one) { return one.way == way && one.load == load; });
    return cell == cells_.end() ? nullptr : &*cell;
}

std::vector<double> Series::costs(const Way& way, std::span<const Load> loads, double price) const {
    std::vector<double> costs;
    for (const Load& load : loads)
        if (const Cell* const cell = find(way, load)) costs.push_back(cell->median().cost(price));
    return costs;
}

Winner winner_at(const Series& series, const Load& load, std::size_t price) {
    const auto cost = [&](const Way& way) {
        const Cell* const cell = series.find(way, load);
        return cell == nullptr ? std::numeric_limits<double>::infinity()
                               : std::max(cell->median().cost(prices[price]), least_cost_ns);
    };
    const Way way = *std::ranges::min_element(fixed_ways, {}, cost);
    return {way, cost(adaptive_ways[price]) / cost(way)};
}

Choice choose(std::span<const std::vector<double>> costs, std::size_t usual) {
    Choice best = rate(costs, usual);
    const double limit = best.mean_ratio * worth_a_change;
    for (std::size_t i = 0; i < costs.size(); ++i) {
        const Choice other = rate(costs, i);
        if (other.mean_ratio < limit && other.mean_ratio < best.mean_ratio) best = other;
    }
    return best;
}

Knowledge median_of(std::span<const Knowledge> all) {
    const auto of = [&](std::uint64_t Knowledge::* member) { return median_of_member(all, member, true); };
    return {.service_ns = of(&Knowledge::service_ns),
            .interrupt_overhead_ns = of(&Knowledge::interrupt_overhead_ns),
            .polling_overhead_ns = of(&Knowledge::polling_overhead_ns),
            .interrupt_cpu_ns = of(&Knowledge::interrupt_cpu_ns),
            .polling_cpu_ns = of(&Knowledge::polling_cpu_ns)};
}

Recommendation recommend(const Sweep& sweep, std::size_t price) {
    Recommendation found{.price = prices[price], .way = adaptive_ways[price], .mode = {}};
    const std::vector<Load> loads = sweep.modes.loads();
    std::vector<Way> ways = {adaptive_ways[price]};
    ways.insert(ways.end(), fixed_ways.begin(), fixed_ways.end());
    std::vector<std::vector<double>> costs;
    for (const Way& way : ways) costs.push_back(sweep.modes.costs(way, loads, prices[price]));
    found.mode = choose(costs, 0);
    found.way = ways[found.mode.index];

    if (!sweep.poll_limits.empty()) {
        std::vector<const Series*> limits = {&sweep.modes};
        for (const Series& one : sweep.poll_limits) limits.push_back(&one);
        found.poll_us = limits[best_series(limits, price)]->setting().poll_us;
    }
    if (!sweep.queues.empty()) {
        std::vector<const Series*> numbers;
        for (const Series& one : sweep.queues) numbers.push_back(&one);
        if (const std::size_t best = best_series(numbers, price); best != 0)
            found.queues = numbers[best]->setting().queues;
    }
    return found;
}

}  // namespace exo::vmm::tune
