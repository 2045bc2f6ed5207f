#pragma once

#include <memory>
#include <vector>

#include "guest/drivers/block/adaptive_queue.h"
#include "guest/drivers/block/block_device.h"
#include "tests/fuzz/hostile_device.h"

namespace exo::fuzz {

/// A guest that uses a disk on a hostile device as the input says: every request ends once, whatever the
/// device does. One that has ended goes at once, with its memory, so that ending it again is seen.
class HostileDiskLoad {
  public:
    HostileDiskLoad(HostileMachine& machine, guest::BlockDevice& disk) : machine_(machine), disk_(disk) {
        disk_.set_timeout_ns(20 * guest::ns_per_ms);
        const guest::DiskInfo& info = disk_.info();
        require(info.sectors > 0 && info.logical_block >= 512 && info.physical_block >= info.logical_block);
        require(info.max_transfer >= info.logical_block && info.max_transfer % info.logical_block == 0);
        require(info.max_segments > 0 && disk_.queue_count() > 0 && info.serial.size() <= 32);
    }

    void run() {
        for (int steps = 0; steps < 200 && !machine_.input.empty(); ++steps) step();
        for (unsigned i = 0; i < disk_.queue_count(); ++i) disk_.queue(i).recover();
        forget_ended();
        require(jobs_.empty());
        for (unsigned i = 0; i < disk_.queue_count(); ++i) {
            const guest::BlockQueueCounters& counters = disk_.queue(i).counters();
            require(counters.submitted == counters.completed && counters.failed <= counters.completed);
        }
    }

  private:
    struct Job {
        guest::BlockRequest request;
        std::vector<guest::DmaBuffer> memory;
        std::vector<guest::DmaSpan> segments;
    };
    using Jobs = std::vector<std::unique_ptr<Job>>;

    void step() {
        const auto what = machine_.input.take<std::uint8_t>();
        guest::BlockQueue& queue = disk_.queue((what >> 4) % disk_.queue_count());
        switch (what % 8) {
            case 0:
            case 1:
                return submit(queue);
            case 2:
                queue.poll();
                break;
            case 3:
                queue.wait(guest::fixed_plan(static_cast<guest::IoMode>((what >> 4) % guest::io_mode_count)),
                           machine_.now_ns() + 5 * guest::ns_per_ms, machine_);
                break;
            case 4:
                static_cast<void>(queue.notification_cost_ns());
                return machine_.device->turn();
            case 5:
                return machine_.device->turn();
            case 6:
                return use_adaptive(what >> 4);
            default:
                if (what >= 0xc0) queue.recover();
                break;
        }
        forget_ended();
    }

    std::unique_ptr<Job> make_job() {
        auto job = std::make_unique<Job>();
        const auto how = machine_.input.take<std::uint8_t>();
        guest::BlockRequest& request = job->request;
        request.operation = static_cast<guest::BlockOperation>(how % 3);
        request.fua = (how & 0x10) != 0;
        request.barrier = (how & 0x20) != 0;
        request.sector = how & 0xc0;
        const unsigned count = request.operation == guest::BlockOperation::flush ? 0 : 1 + (how >> 2) % 4;
        for (unsigned i = 0; i < count; ++i) {
            auto memory = guest::DmaBuffer::allocate(machine_, std::min(disk_.info().logical_block, 4096u));
            if (!memory) break;
            job->memory.push_back(std::move(*memory));
            job->segments.push_back(job->memory.back().span());
        }
        request.segments = job->segments;
        return job;
    }

    void submit(guest::BlockQueue& queue) {
        Jobs made;
        std::vector<guest::BlockRequest*> batch;
        for (unsigned count = 1 + machine_.input.take<std::uint8_t>() % 4; count > 0; --count) {
            made.push_back(make_job());
            batch.push_back(&made.back()->request);
        }
        const std::size_t taken = queue.submit(batch);
        require(taken <= batch.size());
        std::move(made.begin(), made.begin() + static_cast<std::ptrdiff_t>(taken), std::back_inserter(jobs_));
        forget_ended();
    }

    /// As the kernel's threads do it.
    void use_adaptive(unsigned mode) {
        if (mode < guest::io_mode_count) disk_.set_mode(static_cast<guest::IoMode>(mode));
        const auto job = make_job();
        const auto other = make_job();
        guest::BlockRequest* const both[] = {&job->request, &other->request};
        guest::AdaptiveQueue& queue = disk_.adaptive_queue(mode % disk_.queue_count());
        queue.submit(both);
        for (guest::BlockRequest* const request : both)
            require(queue.wait(*request) != guest::BlockStatus::pending);
    }

    /// One that ended because the device was switched off takes all others with it.
    void forget_ended() {
        const bool is_off = std::erase_if(jobs_, has_failed) > 0;
        if (is_off)
            for (unsigned i = 0; i < disk_.queue_count(); ++i) disk_.queue(i).poll();
        std::erase_if(jobs_, [](const auto& job) { return job->request.done(); });
        require(!is_off || jobs_.empty());
    }
    static bool has_failed(const std::unique_ptr<Job>& job) {
        return job->request.status.load() == guest::BlockStatus::device_failed;
    }

    HostileMachine& machine_;
    guest::BlockDevice& disk_;
    Jobs jobs_;
};

}  // namespace exo::fuzz
