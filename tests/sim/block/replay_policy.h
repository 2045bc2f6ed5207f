#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest/drivers/adaptive/controller.h"

namespace exo::sim {

/// How a waiter waits, and how long the device may keep the news of an end to tell it with others.
struct WaitPlan {
    guest::IoPlan plan;
    std::uint64_t gather_ns = 100'000;  ///< where `plan.batch` is above 1
};

/// Who decides how the ends of requests are learned of.
class ReplayPolicy {
  public:
    virtual ~ReplayPolicy() = default;
    virtual std::string name() const = 0;
    /// A request is handed over. `timed`: whether its `sample` is wanted.
    virtual WaitPlan begin(std::uint64_t now_ns, bool& timed) = 0;
    /// It has ended.
    virtual void end(std::uint64_t now_ns) = 0;
    virtual void sample(const guest::IoSample&, std::uint64_t /*now_ns*/, std::uint32_t /*depth*/) {}
    /// An interrupt told of that many.
    virtual void interrupted(std::uint64_t /*now_ns*/, std::uint64_t /*completions*/) {}
    /// How often it changed its mind.
    virtual std::uint64_t switches() const { return 0; }
};

/// One mode for ever.
std::unique_ptr<ReplayPolicy> fixed_policy(guest::IoMode mode);

/// By throughput alone, over a sliding second: polling above 10,000 operations a second, interrupt below
/// 1,000, hybrid between.
std::unique_ptr<ReplayPolicy> throughput_policy();

/// Interrupt moderation that climbs a ladder of profiles as long as that makes more completions a
/// millisecond, or more of them an interrupt: the algorithm and the profiles of Linux's `rdma_dim`.
std::unique_ptr<ReplayPolicy> dim_policy();

/// This project's controller.
std::unique_ptr<ReplayPolicy> adaptive_policy(guest::CpuPrice price);

/// interrupt, polling, hybrid, batch, throughput, dim, adaptive; null for any other name.
std::unique_ptr<ReplayPolicy> policy_named(std::string_view name, guest::CpuPrice price);
const std::vector<std::string_view>& policy_names();

}  // namespace exo::sim
