#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "guest/drivers/block/block_device.h"
#include "tests/unit/devices/guest_ram.h"

namespace exo::test {

/// Random requests with checking: several in flight, each in a part of the disk of its own, compared with a
/// shadow of what the disk must hold.
class ShadowLoad {
  private:
    struct Job {
        guest::BlockRequest request;
        std::vector<guest::DmaSpan> segments;
        std::uint64_t memory = 0;
        bool busy = false;
    };

  public:
    static constexpr std::size_t area = 64 << 10;  ///< of the disk, for each request in flight
    static constexpr std::size_t max_segments = 20;
    static constexpr std::size_t segment_room = 8192;

    ShadowLoad(GuestRam& ram, guest::BlockDevice& disk, guest::TimeSource& time, std::size_t in_flight,
               unsigned seed)
        : ram_(ram), disk_(disk), time_(time), random_(seed), shadow(in_flight * area), jobs_(in_flight) {
        for (Job& job : jobs_) job.memory = ram.allocate(max_segments * segment_room);
    }
    ~ShadowLoad() {
        // After a failed check others may still be under way, with memory that goes now.
        if (std::ranges::any_of(jobs_, &Job::busy)) disk_.queue(0).recover();
        for (const Job& job : jobs_) ram_.release(job.memory, max_segments * segment_room);
    }
    ShadowLoad(const ShadowLoad&) = delete;
    ShadowLoad& operator=(const ShadowLoad&) = delete;

    bool barriers = false;
    /// Called now and then between requests.
    std::function<void()> meanwhile;

    void run(std::size_t count, const guest::IoPlan& policy) {
        guest::BlockQueue& queue = disk_.queue(0);
        std::size_t started = 0;
        std::size_t ended = 0;
        while (ended < count) {
            std::vector<guest::BlockRequest*> batch;
            for (std::size_t i = 0; i < jobs_.size() && started < count; ++i) {
                if (jobs_[i].busy) continue;
                prepare(i);
                batch.push_back(&jobs_[i].request);
                ++started;
            }
            submit(queue, batch, policy);
            queue.wait(policy, time_.now_ns() + disk_.timeout_ns(), time_);
            for (std::size_t i = 0; i < jobs_.size(); ++i) ended += finish(i) ? 1 : 0;
            if (testing::Test::HasFatalFailure()) return;
            if (meanwhile) meanwhile();
        }
    }

  private:
    GuestRam& ram_;
    guest::BlockDevice& disk_;
    guest::TimeSource& time_;
    std::mt19937 random_;

  public:
    std::vector<std::byte> shadow;

  private:
    std::size_t pick(std::size_t below) {
        return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
    }

    void prepare(std::size_t index) {
        Job& job = jobs_[index];
        const std::size_t block = disk_.info().logical_block;
        job.busy = true;
        job.segments.clear();
        std::size_t length = 0;
        const std::size_t count = pick(3) == 0 ? 1 + pick(max_segments) : 1 + pick(2);
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t size = std::min(block * (1 + pick(3)), segment_room - 64);
            if (length + size > area) break;
            const std::uint64_t at = job.memory + i * segment_room + (pick(4) == 0 ? pick(64) : 0);
            job.segments.push_back({ram_.at(at), at, size});
            length += size;
        }
        const std::size_t offset = index * area + pick((area - length) / block + 1) * block;
        job.request.operation = pick(2) == 0 ? guest::BlockOperation::write : guest::BlockOperation::read;
        job.request.urgency = static_cast<guest::BlockUrgency>(pick(3));
        job.request.barrier = barriers && pick(10) == 0;
        job.request.fua = pick(20) == 0 && disk_.info().has_fua;
        job.request.sector = offset / 512;
        job.request.segments = job.segments;
        job.request.reset();
        if (job.request.operation == guest::BlockOperation::read) {
            for (const guest::DmaSpan& segment : job.segments) std::memset(segment.data, 0xee, segment.size);
        } else {
            for (const guest::DmaSpan& segment : job.segments)
                for (std::size_t i = 0; i < segment.size; ++i)
                    segment.data[i] = static_cast<std::byte>(random_());
        }
    }

    void submit(guest::BlockQueue& queue, std::span<guest::BlockRequest* const> batch,
                const guest::IoPlan& policy) {
        while (!batch.empty()) {
            batch = batch.subspan(queue.submit(batch));
            if (!batch.empty()) queue.wait(policy, time_.now_ns() + disk_.timeout_ns(), time_);
        }
    }

    bool finish(std::size_t index) {
        Job& job = jobs_[index];
        if (!job.busy || !job.request.done()) return false;
        job.busy = false;
        check(job);
        return true;
    }

    void check(const Job& job) {
        ASSERT_EQ(job.request.status.load(), guest::BlockStatus::ok)
            << guest::describe(job.request.status.load());
        std::size_t at = job.request.sector * 512;
        for (const guest::DmaSpan& segment : job.segments) {
            if (job.request.operation == guest::BlockOperation::write) {
                std::memcpy(&shadow[at], segment.data, segment.size);
            } else {
                ASSERT_EQ(std::memcmp(&shadow[at], segment.data, segment.size), 0) << "at byte " << at;
            }
            at += segment.size;
        }
    }

    std::vector<Job> jobs_;
};

}  // namespace exo::test
