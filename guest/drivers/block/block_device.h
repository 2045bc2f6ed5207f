#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "guest/arch/arch.h"
#include "guest/drivers/adaptive/cost_model.h"
#include "guest/drivers/adaptive/io_mode.h"
#include "guest/drivers/block/block_request.h"
#include "guest/drivers/driver_services.h"
#include "guest/drivers/interrupt_watch.h"
#include "guest/drivers/time_source.h"
#include "guest/sched/mutex.h"

namespace exo::guest {

/// What happened on a queue since it came up.
struct BlockQueueCounters {
    std::uint64_t submitted = 0;
    std::uint64_t completed = 0;
    std::uint64_t failed = 0;     ///< of the completed ones, those not ok
    std::uint64_t doorbells = 0;  ///< notifications sent to the device
    std::uint64_t sleeps = 0;     ///< waits that went to sleep for an interrupt
    std::uint64_t faults = 0;     ///< completions that no honest device would have sent

    /// Ends a request, and counts that.
    void end(BlockRequest& request, BlockStatus status) {
        ++completed;
        if (status != BlockStatus::ok) ++failed;
        request.finish(status);
    }
};

/// A channel to a device on which requests run side by side. Every request taken ends exactly once; none is
/// lost, whatever the device does. What is called with the queue's lock held says so; the lock is for short:
/// nobody sleeps with it. Where one thread alone uses a device it may do without.
class BlockQueue {
  public:
    virtual ~BlockQueue() = default;

    virtual Mutex& lock() { return lock_; }

    /// Requests that it can hold at once.
    virtual std::size_t depth() const = 0;

    /// Hands requests over in order with at most one notification, and says how many it took from the front:
    /// fewer than given when the queue is full. A request that cannot run ends at once with its error, and
    /// counts as taken. With the lock.
    virtual std::size_t submit(std::span<BlockRequest* const> requests) = 0;

    /// Ends the requests that the device has done; never sleeps. The number of requests that ended. With the
    /// lock.
    virtual std::size_t poll() = 0;

    /// Asks the device for an interrupt once `ends` more requests have ended, which are under way, then looks
    /// once more. False when any has ended that is not polled yet, or there will be no interrupt: do not
    /// sleep. It may interrupt sooner. With the lock. `finish_sleep` follows in either case.
    virtual bool prepare_sleep(std::uint32_t ends) = 0;
    virtual void finish_sleep() = 0;

    /// What to sleep on between the two, without the lock.
    virtual InterruptWatch& watch() = 0;
    virtual bool has_interrupt() const = 0;

    /// Tells the device how this queue is waited for. With the lock.
    virtual void announce(const IoPlan&) {}

    /// CPU time that an interrupt costs the device's host, as the device says; 0 from one that does not.
    virtual std::uint32_t notification_cost_ns() const { return 0; }

    /// Stops the device, brings it back if it can be, and ends all requests that were in it with `timed_out`.
    /// When this returns the device no longer touches their memory. Without any lock.
    virtual void recover() = 0;

    virtual const BlockQueueCounters& counters() const = 0;

    /// Waits as the plan says until requests have ended, and ends them: their number. It may come back with 0
    /// before the deadline. Without the lock; one thread at a time.
    std::size_t wait(const IoPlan& plan, std::uint64_t deadline_ns, TimeSource& time);

  private:
    Mutex lock_;
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
    IoModeSet modes = IoModeSet::all();  ///< that it can be driven in
};

class AdaptiveQueue;

/// A disk behind any driver. Threads submit and wait by its `AdaptiveQueue`s, one for each queue of the
/// driver; `block_io.h` has the synchronous calls.
class BlockDevice {
  public:
    static constexpr unsigned most_queues = arch::maximum_cpus;

    BlockDevice();
    virtual ~BlockDevice();
    virtual const DiskInfo& info() const = 0;
    virtual unsigned queue_count() const = 0;
    /// For tests, and for what is built on it.
    virtual BlockQueue& queue(unsigned index) = 0;

    AdaptiveQueue& adaptive_queue(unsigned index) { return *adaptive_[index]; }
    /// That of the processor this runs on; the thread may move meanwhile.
    AdaptiveQueue& queue_here() { return *adaptive_[arch::current_cpu() % queue_count()]; }

    /// The one mode that is used; nothing when each queue's controller chooses.
    std::optional<IoMode> mode() const { return mode_; }
    /// False, and nothing changes, when the device or the kernel's configuration does not allow it.
    bool set_mode(std::optional<IoMode> mode);
    bool allows(std::optional<IoMode> mode) const;
    /// For controllers that choose.
    void set_price(CpuPrice price);
    CpuPrice price() const { return price_; }

    /// Longest time one request may take before the device counts as stuck: a busy host can be slow.
    std::uint64_t timeout_ns() const { return timeout_ns_; }
    void set_timeout_ns(std::uint64_t timeout_ns) { timeout_ns_ = timeout_ns; }

  protected:
    /// The last thing that a driver does when it starts.
    Result<void> start_queues(const DriverServices& services);

  private:
    void configure_queues();

    std::array<std::unique_ptr<AdaptiveQueue>, most_queues> adaptive_;
    bool is_adaptive_ = false;
    std::optional<IoMode> mode_ = IoMode::interrupt;
    CpuPrice price_;
    std::uint64_t timeout_ns_ = 30 * ns_per_s;
};

/// What any driver refuses before it asks the device: `ok` when the request fits the disk.
BlockStatus check_request(const DiskInfo& info, const BlockRequest& request);

/// How a request ends that the device never sees: one that does not fit the disk, one for a device that is
/// `dead`, a flush where there is nothing to flush. Nothing when the device is to carry it out.
std::optional<BlockStatus> end_before_device(const DiskInfo& info, const BlockRequest& request, bool dead);

}  // namespace exo::guest
