#include "tests/sim/disk/disk_simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "tests/sim/disk/disk_world.h"
#include "tests/sim/disk/promises.h"

namespace exo::sim {
namespace {

using guest::BlockOperation;
using guest::BlockRequest;
using guest::BlockStatus;

/// What a seed makes of the disk: three in eight find nothing wrong with it.
DiskFaults choose_faults(Random& random) {
    using std::chrono::microseconds;
    switch (random.below(16)) {
        case 0:
            return {.lost = 20, .slowest = microseconds(20)};  // and never comes back
        case 1:
        case 2:
            return {.lost = 20, .comes_back = microseconds(30'000)};
        case 3:
        case 4:
        case 5:
        case 6:
        case 7:
            return {.io_error = 40, .torn = 40, .short_transfer = 20, .no_space = 20};
        case 8:
        case 9:
            return {.slowest = microseconds(5'000)};
        case 10:
        case 11:
            return {.slowest = microseconds(1)};
        case 12:
        case 13:
            return {.lost_write = 100};
        default:
            return {};
    }
}

bool may_fail(const DiskFaults& faults) {
    return faults.io_error + faults.torn + faults.short_transfer + faults.no_space + faults.lost +
               faults.lost_write >
           0;
}

/// Random requests to a disk, several at once and none overlapping, held against what was promised.
class DiskLoad {
  public:
    DiskLoad(DiskWorld& world, Random& random, bool may_fail)
        : world_(world), random_(random), may_fail_(may_fail), promises_(DiskWorld::sectors) {
        for (Job& job : jobs_) job.memory = world.ram().allocate(room);
        world.disk().kill_point = [this] { check_survivors(); };
    }
    ~DiskLoad() {
        world_.disk().kill_point = [] {};
        // After a problem others may still be under way, with memory that goes now.
        if (any_busy()) world_.driver().queue(0).recover();
    }
    DiskLoad(const DiskLoad&) = delete;
    DiskLoad& operator=(const DiskLoad&) = delete;

    void run(std::uint64_t requests) {
        while (run_.requests < requests && world_.problem().empty()) {
            if (random_.below(3) != 0)
                submit();
            else
                wait();
        }
        while (world_.problem().empty() && any_busy()) wait();
    }
    DiskRun result() const { return run_; }

  private:
    static constexpr std::size_t most_sectors = 8;
    static constexpr std::size_t room = most_sectors * sector_bytes;
    struct Job {
        BlockRequest request;
        std::vector<guest::DmaSpan> segments;
        std::uint64_t memory = 0;
        std::uint64_t first = 0;  ///< sectors
        std::uint64_t count = 0;
        Version version = 0;
        Promises::Flush flush;
        bool busy = false;
    };

    guest::AdaptiveQueue& queue() { return world_.driver().adaptive_queue(0); }
    bool any_busy() const { return std::ranges::any_of(jobs_, &Job::busy); }

    void submit() {
        std::vector<BlockRequest*> batch;
        for (std::uint64_t wanted = 1 + random_.below(4); wanted > 0; --wanted) {
            const auto idle = std::ranges::find(jobs_, false, &Job::busy);
            if (idle == jobs_.end() || !prepare(*idle)) break;
            batch.push_back(&idle->request);
        }
        if (!batch.empty()) queue().submit(batch);
    }

    void wait() {
        std::vector<BlockRequest*> busy;
        for (Job& job : jobs_)
            if (job.busy) busy.push_back(&job.request);
        if (busy.empty()) return;
        if (random_.below(2) == 0)
            queue().wait_any(busy);
        else
            queue().wait(*busy[random_.below(busy.size())]);
        for (Job& job : jobs_)
            if (job.busy && job.request.done()) finish(job);
    }

    bool prepare(Job& job) {
        job.request.reset();
        job.request.urgency = static_cast<guest::BlockUrgency>(random_.below(3));
        job.request.barrier = world_.driver().info().has_barrier && random_.below(10) == 0;
        job.request.fua = false;
        job.count = 0;
        const std::uint64_t kind = random_.below(8);
        if (kind == 0) {
            job.request.operation = BlockOperation::flush;
            job.request.sector = 0;
            job.segments.clear();
            job.flush = promises_.begin_flush();
        } else if (!choose_sectors(job)) {
            return false;
        } else if (kind < 5) {
            prepare_write(job);
        } else {
            job.request.operation = BlockOperation::read;
        }
        job.request.segments = job.segments;
        return job.busy = true;
    }

    bool choose_sectors(Job& job) {
        const std::uint64_t count = 1 + random_.below(most_sectors);
        const std::uint64_t first = random_.below(DiskWorld::sectors - count + 1);
        const bool is_taken = std::ranges::any_of(jobs_, [&](const Job& other) {
            return other.busy && first < other.first + other.count && other.first < first + count;
        });
        if (is_taken) return false;
        job.first = job.request.sector = first;
        job.count = count;
        job.segments.clear();
        for (std::uint64_t at = 0; at < count;) {
            const std::uint64_t piece = 1 + random_.below(count - at);
            const std::uint64_t address = job.memory + at * sector_bytes;
            job.segments.push_back({world_.ram().at(address), address, piece * sector_bytes});
            at += piece;
        }
        return true;
    }

    void prepare_write(Job& job) {
        job.request.operation = BlockOperation::write;
        job.request.fua = world_.driver().info().has_fua && random_.below(5) == 0;
        job.version = promises_.begin_write(job.first, job.count);
        for (std::uint64_t i = 0; i < job.count; ++i)
            stamp(world_.ram().at(job.memory + i * sector_bytes), job.first + i, job.version);
    }

    void finish(Job& job) {
        job.busy = false;
        ++run_.requests;
        const BlockStatus status = job.request.status.load();
        if (status != BlockStatus::ok) return finish_failed(status);
        switch (job.request.operation) {
            case BlockOperation::write:
                promises_.end_write(job.first, job.count, job.version, job.request.fua);
                break;
            case BlockOperation::flush:
                promises_.end_flush(job.flush);
                break;
            case BlockOperation::read:
                check_read(job);
                break;
        }
        check_survivors();
    }

    void finish_failed(BlockStatus status) {
        ++run_.failed;
        const bool is_disks = status == BlockStatus::medium_error || status == BlockStatus::no_space ||
                              status == BlockStatus::timed_out || status == BlockStatus::device_failed;
        if (!may_fail_ || !is_disks)
            world_.report(fmt::format("a request failed without cause: {}", guest::describe(status)));
    }

    void check_read(const Job& job) {
        for (std::uint64_t i = 0; i < job.count; ++i) {
            const auto version = version_of(world_.ram().at(job.memory + i * sector_bytes), job.first + i);
            if (version && promises_.read(job.first + i, *version)) continue;
            world_.report(fmt::format("sector {} reads as what is not there", job.first + i));
        }
    }

    void check_survivors() {
        ++run_.kill_points;
        world_.disk().each_survivor([this](std::uint64_t sector, Version version) {
            if (!promises_.may_survive(sector, version))
                world_.report(fmt::format("after a crash sector {} would not hold what was flushed", sector));
        });
        if (world_.disk().saw_foreign_data()) world_.report("data was written that no request had");
    }

    DiskWorld& world_;
    Random& random_;
    bool may_fail_;
    Promises promises_;
    std::array<Job, 8> jobs_;
    DiskRun run_;
};

}  // namespace

DiskRun simulate_disk(DiskKind kind, std::uint64_t seed, Defect defect) {
    Random random(seed);
    const DiskFaults faults = choose_faults(random);
    DiskWorld world(kind, random, faults, defect);
    if (!world.problem().empty()) return {.problem = world.problem()};
    world.driver().set_timeout_ns(20 * guest::ns_per_ms);
    // A disk that never comes back is waited for long, and nothing happens meanwhile.
    if (faults.lost > 0 && !faults.comes_back) world.guest().idle_step_ns = 5 * guest::ns_per_ms;
    if (const std::uint64_t mode = random.below(guest::io_mode_count + 1); mode < guest::io_mode_count)
        world.driver().set_mode(static_cast<guest::IoMode>(mode));
    DiskLoad load(world, random, may_fail(faults));
    load.run(60);
    DiskRun run = load.result();
    run.problem = world.problem();
    run.sleeps = world.driver().queue(0).counters().sleeps;
    run.end_ns = world.guest().now_ns();
    return run;
}

}  // namespace exo::sim
