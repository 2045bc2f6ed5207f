#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "guest/drivers/adaptive/controller.h"
#include "guest/drivers/adaptive/duration_histogram.h"
#include "guest/drivers/block/block_device.h"
#include "guest/drivers/driver_services.h"
#include "guest/kernel/error.h"

namespace exo::guest {

/// What a load does to a disk.
enum class IoPattern : std::uint8_t { random_read, random_write, read, write, mixed };
inline constexpr unsigned io_pattern_count = 5;
std::string_view describe(IoPattern pattern);
constexpr bool writes(IoPattern pattern) {
    return pattern != IoPattern::random_read && pattern != IoPattern::read;
}

/// A load in the manner of fio: jobs, each a thread with a part of the disk of its own, keep a number of
/// requests in the device.
struct DiskLoad {
    IoPattern pattern = IoPattern::random_read;
    std::uint32_t block = 4096;  ///< bytes a request, a multiple of the disk's logical block
    unsigned depth = 1;          ///< requests under way in each job
    unsigned jobs = 1;
    std::uint64_t rate = 0;     ///< operations a second of all jobs together; 0: as many as it can
    std::uint64_t time_ns = 0;  ///< ends after that, or
    std::uint64_t count = 0;    ///< after so many operations of all jobs; 0 for either: without that limit
    /// What is written can be told from anything else, and what is read is compared with what was written; in
    /// the end all of it is read again.
    bool verify = false;
    std::uint64_t seed = 1;

    static constexpr unsigned most_jobs = 32;
    static constexpr unsigned most_depth = 128;
    /// Blocks in a job's part that is verified, so that there is memory for what was written to each.
    static constexpr std::uint64_t most_verified = 16'384;
};

struct DiskLoadResult {
    std::uint64_t operations = 0;
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t verified = 0;  ///< blocks that were compared
    std::uint64_t elapsed_ns = 0;
    std::uint64_t cpu_ns = 0;  ///< of the jobs' threads
    DurationHistogram latency;
    std::uint64_t longest_ns = 0;
    IoEvents events;             ///< of the disk's queues meanwhile, others' included
    std::uint64_t switches = 0;  ///< of modes
    /// Why it stopped too early.
    std::optional<BlockStatus> error;
    std::uint64_t error_sector = 0;
    bool mismatch = false;  ///< at `error_sector` there is not what was written
    bool interrupted = false;
};

/// Runs a load. `go_on` is asked now and then by one of the jobs; when it says no, all stop.
/// Fails when there is no memory, or the load does not suit the disk.
Result<DiskLoadResult> run_disk_load(BlockDevice& disk, const DiskLoad& load, const DriverServices& services,
                                     bool (*go_on)(void* context), void* context);

}  // namespace exo::guest
