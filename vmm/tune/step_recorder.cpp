#include "vmm/tune/step_recorder.h"

#include <algorithm>

namespace exo::vmm::tune {
namespace {

constexpr char what[] = "the guest's results cannot be used";

bool is_of(const BenchResult& result, const Step& step) {
    return result.mode == step.way.mode && result.rate == step.load.rate && result.depth == step.load.depth &&
           result.jobs == step.load.jobs;
}

}  // namespace

Result<void> StepRecorder::take(std::string_view line, std::chrono::nanoseconds cpu_time) {
    const BenchOutput output = parse_bench_output(line);
    Result<void> done;
    if (const auto* const result = std::get_if<BenchResult>(&output)) done = take_result(*result, cpu_time);
    if (const auto* const knowledge = std::get_if<Knowledge>(&output)) knowledge_.push_back(*knowledge);
    // What the guest prints after a step belongs to no step.
    previous_ = cpu_time;
    return done;
}

Result<void> StepRecorder::take_result(const BenchResult& result, std::chrono::nanoseconds cpu_time) {
    if (next_ == steps_.size() || !is_of(result, steps_[next_]))
        return fail(what, fmt::format("it tells of {} at {} a second, which it was not asked for",
                                      result.mode, result.rate));
    const Step& step = steps_[next_++];
    if (!result.error.empty()) return fail(what, fmt::format("{}: {}", name_of(step.way), result.error));
    if (result.operations == 0 || result.elapsed_ns == 0)
        return fail(what, fmt::format("{} has done nothing in its time", name_of(step.way)));
    const auto used = cpu_time - previous_;
    if (step.kind == Step::Kind::baseline) baseline_ = used;
    if (step.kind != Step::Kind::measured) return {};
    const auto operations = static_cast<double>(result.operations);
    const auto own = std::max(used - baseline_, std::chrono::nanoseconds::zero());
    measured_.push_back({step,
                         {.p50_ns = static_cast<double>(result.p50_ns),
                          .p99_ns = static_cast<double>(result.p99_ns),
                          .guest_cpu_ns = static_cast<double>(result.cpu_ns) / operations,
                          .host_cpu_ns = static_cast<double>(own.count()) / operations,
                          .rate = operations * 1e9 / static_cast<double>(result.elapsed_ns)}});
    return {};
}

Result<void> StepRecorder::finish() const {
    if (next_ == steps_.size()) return {};
    return fail(what, fmt::format("it ended after {} of {} loads", next_, steps_.size()),
                "Try the same with vmm run, to see what the guest says.");
}

}  // namespace exo::vmm::tune
