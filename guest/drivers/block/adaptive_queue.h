#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/drivers/adaptive/batch_stage.h"
#include "guest/drivers/adaptive/controller.h"
#include "guest/drivers/adaptive/io_trace.h"
#include "guest/drivers/block/block_device.h"
#include "guest/sched/condition.h"

namespace exo::guest {

/// A queue of a disk as threads use it, any number at a time: a controller chooses how they wait, and in
/// batch mode requests are gathered, sorted and joined before they go to the device.
///
/// Of the threads that wait, one at a time looks at the device for all of them, as the plan says; the others
/// sleep until it has found something. What was submitted may be held back until somebody waits, so whoever
/// submits also waits; and a request belongs to the queue until a wait has found that it has ended.
class AdaptiveQueue {
  public:
    AdaptiveQueue(BlockDevice& disk, BlockQueue& queue, TimeSource& time)
        : disk_(disk),
          queue_(queue),
          time_(time),
          stage_(disk.info()),
          counted_ends_(queue.counters().completed),
          counted_({.sleeps = queue.counters().sleeps,
                    .interrupts = queue.watch().count(),
                    .doorbells = queue.counters().doorbells}) {}
    AdaptiveQueue(const AdaptiveQueue&) = delete;
    AdaptiveQueue& operator=(const AdaptiveQueue&) = delete;

    /// Requests that the device holds at once.
    std::size_t depth() const { return queue_.depth(); }

    /// Takes all of them, in order. Sleeps while there is no room.
    void submit(std::span<BlockRequest* const> requests);
    /// Waits until a request that was submitted has ended. One that takes longer than the disk's time-out is
    /// called back: it then ends with `timed_out`, and so may others of the disk.
    BlockStatus wait(BlockRequest& request);
    /// The same until any of them has ended; there is at least one.
    void wait_any(std::span<BlockRequest* const> requests);
    /// Submits one and waits for it.
    BlockStatus run(BlockRequest& request);

    void configure(const Controller::Settings& settings);

    /// What is known of the queue, at one moment.
    struct Report {
        std::array<IoModeStatistics, io_mode_count> modes;
        Observation seen;
        IoPlan plan;
        std::uint64_t switches = 0;
        std::uint64_t service_ns = 0;  ///< D, the median; 0 while unknown
        BlockQueueCounters counters;
        std::uint64_t interrupts = 0;
        bool has_interrupt = false;
    };
    Report report();
    /// The latest timed requests, and changes of plan.
    void copy_trace(IoTrace& trace, IoDecisions& decisions);

  private:
    /// A request whose time is taken.
    struct Timed {
        BlockRequest* request = nullptr;
        IoTimes* times = nullptr;
        std::uint64_t start_ns = 0;
        std::uint64_t cpu_ns = 0;  ///< of handing it over
        std::uint32_t depth = 0;
    };
    static constexpr std::size_t most_timed = 8;
    /// One at what the device has done.
    struct Look {
        bool slept = false;
        std::uint64_t start_ns = 0;  ///< 0: nobody was waiting
        std::uint64_t ended = 0;
    };

    std::size_t take(std::span<BlockRequest* const> requests);
    std::size_t stage(std::span<BlockRequest* const> requests);
    std::size_t hand_over(std::span<BlockRequest* const> requests);
    void hand_over_stage();
    void begin(std::span<BlockRequest* const> requests);
    void stamp_handed_over(std::uint64_t start_ns, std::size_t count, bool rang);

    template <typename Done>
    bool wait_until(Done done);
    template <typename Done>
    bool becomes_leader(Done done, bool& is_done);
    bool lead(std::uint64_t deadline_ns);
    void step_down(std::uint64_t polls);
    std::size_t reap(bool slept);
    std::size_t count_ends(bool slept, std::uint64_t poll_ns);
    void sample_ended(const Look& look);
    bool sample(const Timed& timed, const Look& look);
    void refresh();
    void plan_changed();
    std::uint64_t in_device() const { return queue_.counters().submitted - queue_.counters().completed; }

    BlockDevice& disk_;
    BlockQueue& queue_;
    TimeSource& time_;

    // All that follows is guarded by the queue's lock.
    Controller controller_;
    BatchStage stage_;
    bool is_led_ = false;  ///< somebody looks at the device for all
    unsigned followers_ = 0;
    Condition ended_;
    std::uint64_t counted_ends_;
    IoEvents counted_;  ///< what the controller has been told of
    std::array<Timed, most_timed> timed_{};
    std::size_t timed_count_ = 0;
    IoTrace trace_;
    IoDecisions decisions_;
};

}  // namespace exo::guest
