#include "guest/drivers/adaptive/mode_trial.h"

#include <algorithm>
#include <span>
#include <utility>

#include "guest/drivers/time_source.h"

namespace exo::guest {
namespace {

std::uint32_t median(std::span<const std::uint32_t> samples) {
    std::array<std::uint32_t, 64> sorted{};
    std::ranges::copy(samples, sorted.begin());
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.begin() + static_cast<std::ptrdiff_t>(samples.size()));
    return *middle;
}

bool is_like(std::uint32_t depth, std::uint32_t other) {
    return depth <= 2 * other && other <= 2 * depth;
}

/// Of loads that cannot be compared none is.
bool is_dearer(const Stretch& now, const Stretch& before, const Observation& seen, CpuPrice price) {
    if (!is_like(now.depth, before.depth)) return false;
    const auto cost = [&](const Stretch& stretch) {
        IoCost one = stretch.median;
        if (before.is_pressing()) one.latency_ns = stretch.mean_latency_ns();
        return weigh(one, seen, price);
    };
    return cost(now) > cost(before);
}

}  // namespace

void StretchRecorder::begin(std::uint64_t now_ns, std::uint64_t operations) {
    count_ = 0;
    depths_ = 0;
    start_ns_ = now_ns;
    start_operations_ = operations;
}

void StretchRecorder::add(const IoCost& cost, std::uint32_t depth) {
    if (count_ == most) return;
    latencies_[count_] = clamp_ns(cost.latency_ns);
    cpu_[count_] = clamp_ns(cost.cpu_ns);
    depths_ += depth;
    ++count_;
}

bool StretchRecorder::lags(const Stretch& before, std::uint64_t now_ns, std::uint64_t operations) const {
    const std::uint64_t elapsed = now_ns - start_ns_;
    return before.is_pressing() && elapsed > 4 * before.elapsed_ns &&
           (operations - start_operations_) * before.elapsed_ns < elapsed * before.operations / 4;
}

Stretch StretchRecorder::take(const IoPlan& plan, std::uint64_t now_ns, std::uint64_t operations) const {
    return {.plan = plan,
            .median = {.latency_ns = median(std::span(latencies_).first(count_)),
                       .cpu_ns = median(std::span(cpu_).first(count_))},
            .depth = static_cast<std::uint32_t>(std::max<std::uint64_t>(depths_ / count_, 1)),
            .operations = operations - start_operations_,
            .elapsed_ns = now_ns - start_ns_};
}

void ModeTrial::changed(const IoPlan& before, std::uint64_t now_ns, std::uint64_t operations) {
    before_ = usual_;
    exploring_ = explored_at_ == stretches_;
    if (before_) before_->plan = before;
    usual_.reset();
    fresh_ = settling_ = true;
    recorder_.begin(now_ns, operations);
}

std::optional<IoPlan> ModeTrial::review(const IoPlan& plan, const Observation& seen, CpuPrice price,
                                        std::uint64_t now_ns, std::uint64_t operations) {
    if (before_ && recorder_.lags(*before_, now_ns, operations)) return fail(plan.mode, now_ns, operations);
    if (!recorder_.has_enough(now_ns)) return std::nullopt;
    const Stretch stretch = recorder_.take(plan, now_ns, operations);
    recorder_.begin(now_ns, operations);
    ++stretches_;
    if (std::exchange(settling_, false)) return std::nullopt;
    usual_ = stretch;
    fresh_ = false;
    follow(stretch.depth, seen.runnable);
    if (!before_) return std::nullopt;
    if (is_dearer(stretch, *before_, seen, price)) return fail(plan.mode, now_ns, operations);
    before_.reset();
    ban_of(plan.mode) = {};
    exploration_.length = 0;
    return std::nullopt;
}

IoPlan ModeTrial::fail(IoMode mode, std::uint64_t now_ns, std::uint64_t operations) {
    if (!exploring_) ban_of(mode).lengthen(stretches_, 4, 256);
    // What comes back is no trial.
    usual_.reset();
    recorder_.begin(now_ns, operations);
    return std::exchange(before_, std::nullopt)->plan;
}

/// What failed with few requests under way may do well with many, or when others want the CPU.
void ModeTrial::follow(std::uint32_t depth, std::uint32_t runnable) {
    const bool alike = runnable <= 2 * runnable_ + 1 && runnable_ <= 2 * runnable + 1;
    if (is_like(depth, depth_) && alike) return;
    depth_ = depth;
    runnable_ = runnable;
    bans_ = {};
    exploration_.until = std::min(exploration_.until, stretches_ + 32);
}

IoModeSet ModeTrial::allowed(IoModeSet modes) const {
    for (unsigned mode = 0; mode < io_mode_count; ++mode)
        if (stretches_ < bans_[mode].until) modes = modes.without(static_cast<IoMode>(mode));
    return modes;
}

}  // namespace exo::guest
