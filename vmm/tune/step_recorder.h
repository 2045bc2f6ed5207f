#pragma once

#include <chrono>
#include <span>
#include <string_view>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/tune/bench_output.h"
#include "vmm/tune/sweep.h"

namespace exo::vmm::tune {

/// One step's figures, an operation.
struct Measurement {
    double p50_ns = 0;
    double p99_ns = 0;
    double guest_cpu_ns = 0;  ///< of the threads in the guest
    double host_cpu_ns = 0;   ///< of the whole VMM, vCPUs and I/O threads, less what it takes without a load
    double rate = 0;          ///< operations a second that there were

    double cost(double price) const { return p50_ns + price * host_cpu_ns; }
};

struct MeasuredStep {
    Step step;
    Measurement measurement;
};

/// Puts the lines of a guest's console and the CPU time at which they came together with the steps that the
/// guest was given.
class StepRecorder {
  public:
    explicit StepRecorder(std::span<const Step> steps) : steps_(steps) {}

    /// @param cpu_time  that the VMM's process has had when the line was there
    /// @return why the guest's results cannot be used
    Result<void> take(std::string_view line, std::chrono::nanoseconds cpu_time);
    /// The guest has ended: whether it has done every step.
    Result<void> finish() const;

    const std::vector<MeasuredStep>& measured() const { return measured_; }
    /// What each controller knew after its measured steps.
    const std::vector<Knowledge>& knowledge() const { return knowledge_; }

  private:
    Result<void> take_result(const BenchResult& result, std::chrono::nanoseconds cpu_time);

    std::span<const Step> steps_;
    std::size_t next_ = 0;
    std::chrono::nanoseconds previous_{};  ///< when the last line of interest was there
    std::chrono::nanoseconds baseline_{};
    std::vector<MeasuredStep> measured_;
    std::vector<Knowledge> knowledge_;
};

}  // namespace exo::vmm::tune
