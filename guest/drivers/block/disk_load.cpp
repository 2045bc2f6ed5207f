#include "guest/drivers/block/disk_load.h"

#include <algorithm>
#include <array>

#include "guest/drivers/block/block_io.h"
#include "guest/drivers/block/disk_load_job.h"
#include "guest/sched/scheduler.h"

namespace exo::guest {
namespace {

constexpr std::string_view what = "cannot put a load on the disk";

/// What all queues of a disk have counted so far.
struct Counts {
    IoEvents events;
    std::uint64_t switches = 0;

    explicit Counts(BlockDevice& disk) {
        for (unsigned i = 0; i < disk.queue_count(); ++i) {
            const AdaptiveQueue::Report report = disk.adaptive_queue(i).report();
            switches += report.switches;
            events.interrupts += report.interrupts;
            events.doorbells += report.counters.doorbells;
            events.sleeps += report.counters.sleeps;
            for (const IoModeStatistics& mode : report.modes) events.polls += mode.polls;
        }
    }
};

Result<void> check(const BlockDevice& disk, const DiskLoad& load) {
    const DiskInfo& info = disk.info();
    if (load.block == 0 || load.block % info.logical_block != 0)
        return fail(what, "a request has to be made of whole blocks of the disk");
    if (load.block > info.max_transfer) return fail(what, "the disk takes no requests as large");
    if (load.depth == 0 || load.depth > DiskLoad::most_depth) return fail(what, "the depth is 1 to 128");
    if (load.jobs == 0 || load.jobs > DiskLoad::most_jobs) return fail(what, "there are 1 to 32 jobs");
    if (writes(load.pattern) && info.read_only) return fail(what, "the disk is read-only");
    return {};
}

void add(DiskLoadResult& sum, const DiskLoadResult& job) {
    sum.operations += job.operations;
    sum.reads += job.reads;
    sum.writes += job.writes;
    sum.verified += job.verified;
    sum.elapsed_ns = std::max(sum.elapsed_ns, job.elapsed_ns);
    sum.cpu_ns += job.cpu_ns;
    sum.latency.merge(job.latency);
    sum.longest_ns = std::max(sum.longest_ns, job.longest_ns);
    sum.mismatch = sum.mismatch || job.mismatch;
    sum.interrupted = sum.interrupted || job.interrupted;
    if (!job.error || sum.error) return;
    sum.error = job.error;
    sum.error_sector = job.error_sector;
}

}  // namespace

std::string_view describe(IoPattern pattern) {
    constexpr std::string_view names[io_pattern_count] = {"randread", "randwrite", "read", "write", "mixed"};
    return names[static_cast<unsigned>(pattern)];
}

Result<DiskLoadResult> run_disk_load(BlockDevice& disk, const DiskLoad& load, const DriverServices& services,
                                     bool (*go_on)(void* context), void* context) {
    if (const auto suits = check(disk, load); !suits) return std::unexpected(suits.error());
    DiskLoadJob::Common common{
        .disk = disk, .load = load, .services = services, .go_on = go_on, .context = context};
    std::array<std::unique_ptr<DiskLoadJob>, DiskLoad::most_jobs> jobs;
    for (unsigned i = 0; i < load.jobs; ++i) {
        auto job = DiskLoadJob::create(common, i);
        if (!job) return std::unexpected(job.error());
        jobs[i] = std::move(*job);
    }
    const Counts before(disk);
    common.start_ns = services.time.now_ns();
    Result<void> started;
    {
        // The first job runs here; their handles join the others.
        std::array<ThreadHandle, DiskLoad::most_jobs> threads;
        for (unsigned i = 1; i < load.jobs; ++i) {
            auto thread = Thread::current() == nullptr
                              ? Result<ThreadHandle>(fail(what, "no threads run here"))
                              : Thread::current()->scheduler().spawn({.name = "disk load"},
                                                                     [job = jobs[i].get()] { job->run(); });
            if (thread) {
                threads[i] = std::move(*thread);
                continue;
            }
            started = std::unexpected(thread.error());
            common.stop = true;
        }
        jobs[0]->run();
    }
    if (!started) return std::unexpected(started.error());
    const Counts after(disk);
    DiskLoadResult result;
    for (unsigned i = 0; i < load.jobs; ++i) add(result, jobs[i]->result());
    result.events = {.sleeps = after.events.sleeps - before.events.sleeps,
                     .polls = after.events.polls - before.events.polls,
                     .interrupts = after.events.interrupts - before.events.interrupts,
                     .doorbells = after.events.doorbells - before.events.doorbells};
    result.switches = after.switches - before.switches;
    BlockRequest flush;
    flush.operation = BlockOperation::flush;
    if (result.writes > 0 && !result.error)
        if (const BlockStatus status = run(disk, flush); status != BlockStatus::ok) result.error = status;
    return result;
}

}  // namespace exo::guest
