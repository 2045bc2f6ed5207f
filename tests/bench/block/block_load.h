#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "guest/drivers/adaptive/controller.h"
#include "guest/drivers/block/block_request.h"
#include "tests/bench/block/block_machine.h"
#include "tests/sim/block/block_trace.h"
#include "tests/sim/block/moderation.h"

namespace exo::bench {

/// Requests as they come, whether or not the last ones were answered: `depth` at once, so that there are
/// `rate` a second. Each burst is handed over with one call and waited for by the disk's plan; one that is
/// due before the last one has ended follows it at once.
struct LoadShape {
    double rate = 1'000;
    unsigned depth = 1;
    std::uint32_t bytes = 4096;
    bool sequential = false;  ///< else at random places, aligned to their size
    bool singly = false;      ///< each is submitted by itself, not all that are due together
};

/// That of a rate on a device that takes so long: enough requests at once for the rate to be reached.
LoadShape shape_for(double rate, std::chrono::nanoseconds delay);

struct LoadResult {
    std::vector<std::uint32_t> latencies;  ///< from before the hand-over, nanoseconds; sorted
    std::uint64_t elapsed_ns = 0;
    std::uint64_t guest_cpu_ns = 0;   ///< of the submitting thread, less what waiting for the next burst took
    std::uint64_t device_cpu_ns = 0;  ///< of all other threads of this process
    std::uint64_t interrupts = 0;
    std::uint64_t doorbells = 0;
    bool ok = true;  ///< every request ended without an error

    void add(const LoadResult& other);
    double operations() const { return static_cast<double>(latencies.size()); }
    std::uint32_t latency_ns(std::uint32_t parts) const;
    double guest_cpu() const { return static_cast<double>(guest_cpu_ns) / operations(); }
    double device_cpu() const { return static_cast<double>(device_cpu_ns) / operations(); }
    /// Median latency + price × CPU time an operation, of both sides.
    double cost(double price) const { return latency_ns(500) + price * (guest_cpu() + device_cpu()); }
};

/// Who decides how the ends of requests are learned of.
struct WaitChoice {
    std::optional<guest::IoMode> fixed = {};  ///< else the driver's controller
    guest::CpuPrice price = {};
    bool moderated = false;  ///< by interrupts for so many ends as `Moderation` says
};

/// A program in the guest that reads from a disk. The thread that calls is the guest's.
class BlockLoad {
  public:
    static constexpr unsigned most_depth = 32;

    BlockLoad(BlockMachine& machine, const WaitChoice& choice);

    LoadResult run(const LoadShape& shape, std::uint64_t duration_ns);

    /// Adds each request from now on to the trace, when it is not null.
    void record(sim::BlockTrace* trace) { trace_ = trace; }

  private:
    void submit(std::span<guest::BlockRequest* const> requests, std::size_t at_once);
    guest::BlockStatus wait_for(guest::BlockRequest& request);
    void burst(const LoadShape& shape, LoadResult& result);
    std::uint64_t next_sector(const LoadShape& shape);
    /// Sleeps, at last spins; the CPU time it took.
    std::uint64_t idle_until(std::uint64_t due_ns);

    BlockMachine& machine_;
    const bool moderated_;
    sim::Moderation moderation_;
    guest::DmaSpan memory_;
    std::vector<guest::DmaSpan> pieces_;
    std::vector<guest::BlockRequest> requests_;
    std::vector<guest::BlockRequest*> pointers_;
    sim::BlockTrace* trace_ = nullptr;
    std::uint64_t random_ = 1;
    std::uint64_t position_ = 0;
};

}  // namespace exo::bench
