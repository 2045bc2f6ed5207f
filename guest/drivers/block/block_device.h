#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "guest/drivers/block/block_request.h"
#include "guest/drivers/time_source.h"
#include "guest/sched/mutex.h"

namespace exo::guest {

/// How a waiter learns that requests have ended. The adaptive controller's batch mode is a matter of how
/// requests are handed over (`BlockQueue::submit` takes many at once), not of waiting.
enum class WaitMode : std::uint8_t {
    interrupt,  ///< sleep until the device interrupts
    polling,    ///< look at the device until it is done
    hybrid,     ///< poll for a budget, then sleep
};
std::string_view describe(WaitMode mode);

struct WaitPolicy {
    WaitMode mode = WaitMode::interrupt;
    std::uint64_t poll_budget_ns = 5'000;  ///< hybrid: how long to poll before sleeping
};

/// What happened on a queue since it came up.
struct BlockQueueCounters {
    std::uint64_t submitted = 0;
    std::uint64_t completed = 0;
    std::uint64_t failed = 0;     ///< of the completed ones, those not ok
    std::uint64_t doorbells = 0;  ///< notifications sent to the device
    std::uint64_t sleeps = 0;     ///< waits that went to sleep for an interrupt
    std::uint64_t faults = 0;     ///< completions that no honest device would have sent
};

/// A channel to a device on which requests run side by side. One thread at a time uses a queue. Every
/// request taken ends exactly once; none is lost, whatever the device does.
class BlockQueue {
  public:
    virtual ~BlockQueue() = default;

    /// Requests that it can hold at once.
    virtual std::size_t depth() const = 0;

    /// Hands requests over in order with at most one notification, and says how many it took from the front:
    /// fewer than given when the queue is full. A request that cannot run ends at once with its error, and
    /// counts as taken.
    virtual std::size_t submit(std::span<BlockRequest* const> requests) = 0;

    /// Ends the requests that the device has done; never sleeps. The number of requests that ended.
    virtual std::size_t poll() = 0;

    /// Asks the device for an interrupt, looks once more, sleeps until it comes or the deadline has passed,
    /// and ends what is done. The number of requests that ended. It may come back with 0 before the deadline.
    /// Only where `has_interrupt()`.
    virtual std::size_t wait_for_interrupt(std::uint64_t deadline_ns) = 0;
    virtual bool has_interrupt() const = 0;

    /// Stops the device, brings it back if it can be, and ends all requests that were in it with `timed_out`.
    /// When this returns the device no longer touches their memory.
    virtual void recover() = 0;

    virtual const BlockQueueCounters& counters() const = 0;

    /// Polls, then sleeps once as the policy says. The number of requests that ended before the deadline.
    std::size_t wait(const WaitPolicy& policy, std::uint64_t deadline_ns, TimeSource& time);
};

/// What a disk is. Texts live as long as the device.
struct DiskInfo {
    std::string_view driver;                     ///< "fusion-blk", "virtio-blk", "ide"
    std::string_view model = {};                 ///< as the device calls itself; may be empty
    std::string_view serial = {};                ///< may be empty
    std::uint64_t sectors = 0;                   ///< of 512 bytes
    std::uint32_t logical_block = sector_size;   ///< bytes, smallest addressable unit
    std::uint32_t physical_block = sector_size;  ///< bytes, smallest unit written without a read before
    std::uint32_t max_transfer = sector_size;    ///< bytes in one request, a multiple of the logical block
    std::uint32_t max_segments = 1;              ///< segments in one request
    bool read_only = false;
    bool has_fua = false;      ///< otherwise a request with `fua` is unsupported
    bool has_barrier = false;  ///< otherwise a request with `barrier` is unsupported
    bool has_flush = false;    ///< otherwise a flush ends ok at once: there is no volatile cache to flush
};

/// A disk behind any driver. Requests go through its queues; `block_io.h` has the synchronous calls.
class BlockDevice {
  public:
    virtual ~BlockDevice() = default;
    virtual const DiskInfo& info() const = 0;
    virtual unsigned queue_count() const = 0;
    virtual BlockQueue& queue(unsigned index) = 0;

    /// How waiters on this disk wait. Falls back to polling where the device has no interrupt.
    const WaitPolicy& wait_policy() const { return policy_; }
    void set_wait_policy(const WaitPolicy& policy) { policy_ = policy; }

    /// Longest time one request may take before the device counts as stuck: a busy host can be slow.
    std::uint64_t timeout_ns() const { return timeout_ns_; }
    void set_timeout_ns(std::uint64_t timeout_ns) { timeout_ns_ = timeout_ns; }

    /// Drivers know one user at a time: a thread has this from its first request until its last has ended.
    Mutex& in_use() { return in_use_; }

  private:
    Mutex in_use_;
    WaitPolicy policy_;
    std::uint64_t timeout_ns_ = 30 * ns_per_s;
};

/// What any driver refuses before it asks the device: `ok` when the request fits the disk.
BlockStatus check_request(const DiskInfo& info, const BlockRequest& request);

}  // namespace exo::guest
