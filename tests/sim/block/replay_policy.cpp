#include "tests/sim/block/replay_policy.h"

#include "guest/drivers/adaptive/rate_window.h"
#include "tests/sim/block/moderation.h"

namespace exo::sim {
namespace {

using guest::IoMode;
using guest::IoPlan;

class FixedPolicy final : public ReplayPolicy {
  public:
    explicit FixedPolicy(IoMode mode) : mode_(mode) {}
    std::string name() const override { return std::string(describe(mode_)); }
    WaitPlan begin(std::uint64_t, bool&) override { return {fixed_plan(mode_)}; }
    void end(std::uint64_t) override {}

  private:
    IoMode mode_;
};

class ThroughputPolicy final : public ReplayPolicy {
  public:
    std::string name() const override { return "throughput"; }
    WaitPlan begin(std::uint64_t now_ns, bool&) override {
        const IoMode mode = mode_at(rate_.per_second(now_ns));
        switches_ += mode != mode_ ? 1 : 0;
        mode_ = mode;
        return {fixed_plan(mode)};
    }
    void end(std::uint64_t now_ns) override { rate_.add(now_ns, 1); }
    std::uint64_t switches() const override { return switches_; }

  private:
    static IoMode mode_at(std::uint64_t rate) {
        if (rate > 10'000) return IoMode::polling;
        return rate < 1'000 ? IoMode::interrupt : IoMode::hybrid;
    }

    guest::RateWindow rate_;
    IoMode mode_ = IoMode::interrupt;
    std::uint64_t switches_ = 0;
};

class DimPolicy final : public ReplayPolicy {
  public:
    std::string name() const override { return "dim"; }
    WaitPlan begin(std::uint64_t, bool&) override {
        const Moderation::Profile& profile = moderation_.profile();
        return {IoPlan{.mode = IoMode::batch, .batch = profile.completions}, profile.delay_ns};
    }
    void end(std::uint64_t) override {}
    void interrupted(std::uint64_t now_ns, std::uint64_t completions) override {
        moderation_.interrupted(now_ns, completions);
    }
    std::uint64_t switches() const override { return moderation_.changes(); }

  private:
    Moderation moderation_;
};

class AdaptivePolicy final : public ReplayPolicy {
  public:
    explicit AdaptivePolicy(guest::CpuPrice price) : controller_({.price = price}) {}
    std::string name() const override { return "adaptive"; }
    WaitPlan begin(std::uint64_t, bool& timed) override {
        timed = controller_.begin();
        return {controller_.plan(timed)};
    }
    void end(std::uint64_t) override { controller_.end(1); }
    void sample(const guest::IoSample& sample, std::uint64_t now_ns, std::uint32_t depth) override {
        controller_.sample(sample, now_ns, depth, 0);
    }
    std::uint64_t switches() const override { return controller_.switches(); }

  private:
    guest::Controller controller_;
};

}  // namespace

std::unique_ptr<ReplayPolicy> fixed_policy(IoMode mode) {
    return std::make_unique<FixedPolicy>(mode);
}
std::unique_ptr<ReplayPolicy> throughput_policy() {
    return std::make_unique<ThroughputPolicy>();
}
std::unique_ptr<ReplayPolicy> dim_policy() {
    return std::make_unique<DimPolicy>();
}
std::unique_ptr<ReplayPolicy> adaptive_policy(guest::CpuPrice price) {
    return std::make_unique<AdaptivePolicy>(price);
}

std::unique_ptr<ReplayPolicy> policy_named(std::string_view name, guest::CpuPrice price) {
    for (const IoMode mode : {IoMode::interrupt, IoMode::polling, IoMode::hybrid, IoMode::batch})
        if (name == describe(mode)) return fixed_policy(mode);
    if (name == "throughput") return throughput_policy();
    if (name == "dim") return dim_policy();
    return name == "adaptive" ? adaptive_policy(price) : nullptr;
}

const std::vector<std::string_view>& policy_names() {
    static const std::vector<std::string_view> names = {"interrupt",  "polling", "hybrid",  "batch",
                                                        "throughput", "dim",     "adaptive"};
    return names;
}

}  // namespace exo::sim
