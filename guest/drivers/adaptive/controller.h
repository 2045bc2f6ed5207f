#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "guest/drivers/adaptive/cost_model.h"
#include "guest/drivers/adaptive/duration_histogram.h"
#include "guest/drivers/adaptive/io_mode.h"
#include "guest/drivers/adaptive/mode_trial.h"
#include "guest/drivers/adaptive/moving_median.h"
#include "guest/drivers/adaptive/rate_window.h"
#include "shared/block/moving_mean.h"

namespace exo::guest {

/// One operation that was timed. Durations in nanoseconds.
struct IoSample {
    std::uint64_t latency_ns = 0;  ///< from before it was handed over until its waiter ran again
    std::uint64_t service_ns = 0;  ///< as the device tells; 0 from a device that does not
    /// CPU time that it took, the spinning not counted; by interrupt as if that had told of it alone.
    std::uint64_t cpu_ns = 0;
    bool slept = false;          ///< the waiter slept, and an interrupt ended it
    std::uint32_t together = 1;  ///< operations that the same interrupt told of
};

/// What happened while a mode was in force.
struct IoModeStatistics {
    std::uint64_t operations = 0;
    std::uint64_t time_ns = 0;
    std::uint64_t sleeps = 0;      ///< waits that went to sleep
    std::uint64_t polls = 0;       ///< looks at the device by waiters
    std::uint64_t interrupts = 0;  ///< of the device
    std::uint64_t doorbells = 0;
    DurationHistogram latency;  ///< of the timed operations
};

/// What waiters and submitters did since they last told.
struct IoEvents {
    std::uint64_t sleeps = 0;
    std::uint64_t polls = 0;
    std::uint64_t interrupts = 0;
    std::uint64_t doorbells = 0;
};

/// Chooses how the ends of a queue's operations are learned of: from what operations cost on this machine in
/// either way, which it measures by timing a few and by trying the other way now and then, from how long the
/// device takes, and from who else wants the CPU. It neither reads a clock nor sleeps: all it knows is handed
/// in, so it runs in the kernel, in tests, and over recorded traces.
///
/// One thread at a time uses it. `begin` and `end` are for each operation; everything else happens once in a
/// sample, at most once in sixteen operations when they are frequent.
class Controller {
  public:
    struct Settings {
        CpuPrice price = {};
        std::optional<IoMode> fixed = {};      ///< no choice: this mode
        bool has_interrupt = true;             ///< otherwise all is polled
        IoModeSet modes = IoModeSet::all();    ///< interrupt and polling at least
        bool has_timer_sleep = false;          ///< a waiter can sleep shorter than a request takes
        std::uint32_t hysteresis_percent = 8;  ///< another mode has to be so much cheaper
        std::uint64_t dwell_ns = 2'000'000;    ///< and the present one so old
    };

    Controller() : Controller(Settings{}) {}
    explicit Controller(const Settings& settings);

    /// An operation is handed over. True when it is to be timed, and its `sample` expected.
    bool begin() { return --until_sample_ == 0 && start_sample(); }
    /// Operations have ended.
    void end(std::uint64_t count) { operations_ += count; }
    /// How to wait for an operation: `timed` as `begin` said. A timed one may be waited for in another way
    /// than the mode says, to keep the estimates fresh.
    const IoPlan& plan(bool timed = false) const { return timed && probing_ ? probe_ : plan_; }

    /// What came of a timed operation.
    /// @param depth     requests in the device when it was handed over, itself included
    /// @param runnable  other threads that could use this CPU now
    /// @return true when the plan has changed
    bool sample(const IoSample& sample, std::uint64_t now_ns, std::uint32_t depth, std::uint32_t runnable);

    void count(const IoEvents& events) {
        IoModeStatistics& now = statistics_[index(plan_.mode)];
        now.sleeps += events.sleeps;
        now.polls += events.polls;
        now.interrupts += events.interrupts;
        now.doorbells += events.doorbells;
    }

    void configure(const Settings& settings, std::uint64_t now_ns);
    const Settings& settings() const { return settings_; }

    /// What the last choice was made from.
    const Observation& observation() const { return observation_; }
    const DurationHistogram& service() const { return service_; }
    std::uint64_t switches() const { return switches_; }
    /// Up to the moment given.
    IoModeStatistics statistics(IoMode mode, std::uint64_t now_ns);

  private:
    static constexpr std::size_t index(IoMode mode) { return static_cast<std::size_t>(mode); }

    bool start_sample();
    void choose_probe();
    void learn(const IoSample& sample, std::uint64_t now_ns);
    IoCost cost_of(const IoSample& sample, std::uint32_t depth) const;
    void add_service(std::uint64_t ns, std::uint64_t start_ns, std::uint64_t end_ns);
    void age_service();
    bool knows_both_ways() const;
    void observe(std::uint64_t now_ns);
    void settle(std::uint64_t now_ns);
    std::uint64_t excess_of(const IoPlan& plan) const;
    bool evaluate(std::uint64_t now_ns);
    IoPlan choose(std::uint64_t now_ns);
    std::optional<IoPlan> explore();
    bool adopt(const IoPlan& plan, std::uint64_t now_ns);
    IoPlan prior() const;

    Settings settings_;
    IoPlan plan_;
    IoPlan probe_;
    bool probing_ = false;
    bool probe_ended_ = false;
    std::uint32_t until_sample_ = 1;
    std::uint32_t interval_ = 1;
    std::uint64_t operations_ = 0;
    std::uint64_t settled_operations_ = 0;
    std::uint64_t settled_ns_ = 0;
    std::uint64_t changed_ns_ = 0;
    std::uint64_t evaluated_ns_ = 0;
    std::uint32_t samples_ = 0;         ///< since the last evaluation
    std::uint64_t next_probe_ = 0;      ///< at this count of operations
    std::uint64_t probe_spacing_ = 1;   ///< operations
    std::uint64_t tried_sleeping_ = 0;  ///< samples of either way
    std::uint64_t tried_polling_ = 0;
    std::uint64_t recently_slept_ = 0;  ///< the same, since the last probe
    std::uint64_t recently_polled_ = 0;
    bool seen_polled_ = false;  ///< polling has seen an operation end
    std::uint64_t switches_ = 0;

    ModeTrial trial_;
    RateWindow rate_;
    DurationHistogram service_;
    std::uint64_t usual_ns_ = 0;   ///< the median at the last evaluation
    std::uint32_t strangers_ = 0;  ///< samples in a row that were not usual
    std::uint64_t stranger_ended_ns_ = 0;
    block::MovingMean depth_;  ///< in sixteenths of a request
    MovingMedian interrupt_overhead_;
    MovingMedian polling_overhead_;
    MovingMedian interrupt_cpu_;
    MovingMedian polling_cpu_;
    MovingMedian told_together_;
    std::uint32_t runnable_ = 0;
    Observation observation_;
    std::array<IoModeStatistics, io_mode_count> statistics_;
};

}  // namespace exo::guest
