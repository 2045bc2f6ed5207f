#pragma once

#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "guest/arch/hosted/hosted.h"
#include "guest/drivers/block/adaptive_queue.h"
#include "tests/unit/guest_drivers/fake_machine.h"
#include "tests/unit/sched/run_threads.h"

namespace exo::guest::test {

/// An interrupt that threads wait for.
class ThreadInterrupt final : public Interrupt {
  public:
    std::uint64_t count() const override { return count_.load(); }
    bool wait(std::uint64_t seen, std::uint64_t deadline_ns) override {
        const Locked guard(waiters_);
        while (count() == seen)
            if (!waiters_.wait(deadline_ns)) return count() != seen;
        return true;
    }
    void raise() {
        const Locked guard(waiters_);
        ++count_;
        waiters_.wake_all();
    }

  private:
    std::atomic<std::uint64_t> count_ = 0;
    WaitQueue waiters_;
};

/// One queue of a disk in memory, with a thread for a device: it sleeps until it is rung, and interrupts when
/// it was asked to.
class ThreadDiskQueue final : public BlockQueue {
  public:
    ThreadDiskQueue(std::vector<std::byte>& content, TimeSource& time)
        : content_(content), watch_(&interrupt_, time) {}

    std::function<BlockStatus(const BlockRequest&)> fail;  ///< what a request ends with
    bool silent = false;

    void serve() {
        while (turn()) continue;
    }
    void stop() {
        const Locked guard(device_);
        stop_ = true;
        device_.wake_all();
    }

    std::size_t depth() const override { return 32; }
    std::size_t submit(std::span<BlockRequest* const> requests) override {
        const std::size_t room = depth() - (counters_.submitted - counters_.completed);
        const auto taken = requests.first(std::min(room, requests.size()));
        counters_.submitted += taken.size();
        const Locked guard(device_);
        waiting_.insert(waiting_.end(), taken.begin(), taken.end());
        if (asleep_ && !taken.empty()) {
            ++counters_.doorbells;
            device_.wake_all();
        }
        return taken.size();
    }
    std::size_t poll() override {
        std::vector<std::pair<BlockRequest*, BlockStatus>> ended;
        {
            const Locked guard(device_);
            ended.swap(done_);
        }
        for (const auto& [request, status] : ended) end(*request, status);
        return ended.size();
    }
    bool prepare_sleep(std::uint32_t ends) override {
        const Locked guard(device_);
        if (!done_.empty()) return false;
        armed_ = ends;
        ++counters_.sleeps;
        return true;
    }
    void finish_sleep() override {
        const Locked guard(device_);
        armed_ = 0;
    }
    InterruptWatch& watch() override { return watch_; }
    bool has_interrupt() const override { return watch_.usable(); }
    void announce(const IoPlan& plan) override { announced = plan; }
    void recover() override {
        const Locked turn(lock());
        std::vector<BlockRequest*> stuck;
        {
            const Locked guard(device_);
            stuck.swap(waiting_);
        }
        poll();
        for (BlockRequest* const request : stuck) end(*request, BlockStatus::timed_out);
    }
    const BlockQueueCounters& counters() const override { return counters_; }

    IoPlan announced;

  private:
    bool turn() {
        {
            const Locked guard(device_);
            if (stop_) return false;
            if (waiting_.empty() || silent) {
                asleep_ = true;
                device_.wait();
                asleep_ = false;
                return true;
            }
            for (BlockRequest* const request : std::exchange(waiting_, {})) {
                const BlockStatus status = fail ? fail(*request) : BlockStatus::ok;
                if (status == BlockStatus::ok) move(*request);
                done_.emplace_back(request, status);
            }
            if (armed_ == 0 || done_.size() < armed_) return true;
            armed_ = 0;
        }
        interrupt_.raise();
        return true;
    }
    void end(BlockRequest& request, BlockStatus status) {
        ++counters_.completed;
        if (status != BlockStatus::ok) ++counters_.failed;
        request.finish(status);
    }
    void move(const BlockRequest& request) {
        std::byte* at = content_.data() + request.sector * sector_size;
        for (const DmaSpan& segment : request.segments) {
            if (request.operation == BlockOperation::write)
                std::memcpy(at, segment.data, segment.size);
            else
                std::memcpy(segment.data, at, segment.size);
            at += segment.size;
        }
    }

    std::vector<std::byte>& content_;
    ThreadInterrupt interrupt_;
    InterruptWatch watch_;
    BlockQueueCounters counters_;
    WaitQueue device_;  ///< guards what follows
    std::vector<BlockRequest*> waiting_;
    std::vector<std::pair<BlockRequest*, BlockStatus>> done_;
    std::size_t armed_ = 0;
    bool asleep_ = false;
    bool stop_ = false;
};

/// A disk of several such queues. To be used by threads of the scheduler.
class ThreadDisk final : public BlockDevice {
  public:
    ThreadDisk(Scheduler& scheduler, unsigned queues, bool adaptive = true) : content(1 << 20) {
        info_.driver = "threads";
        info_.sectors = content.size() / sector_size;
        info_.max_transfer = 64 * 1024;
        info_.max_segments = 16;
        info_.has_flush = true;
        DriverServices services{time_, machine_, machine_, machine_};
        services.adaptive = adaptive;
        for (unsigned i = 0; i < queues; ++i)
            queues_.push_back(std::make_unique<ThreadDiskQueue>(content, time_));
        if (!start_queues(services)) std::abort();
        for (const auto& queue : queues_)
            threads_.push_back(must_spawn(scheduler, [&own = *queue] { own.serve(); }));
    }
    ~ThreadDisk() override {
        for (const auto& queue : queues_) queue->stop();
    }

    const DiskInfo& info() const override { return info_; }
    unsigned queue_count() const override { return static_cast<unsigned>(queues_.size()); }
    ThreadDiskQueue& queue(unsigned index) override { return *queues_[index]; }

    std::vector<std::byte> content;

  private:
    DiskInfo info_;
    arch::hosted::HostedTime time_;
    FakeMachine machine_;
    std::vector<std::unique_ptr<ThreadDiskQueue>> queues_;
    std::vector<ThreadHandle> threads_;  ///< joined first
};

/// Memory for one request.
struct Piece {
    explicit Piece(BlockOperation operation, std::uint64_t sector, std::byte value = {},
                   std::size_t size = sector_size)
        : memory(size, value), segment{memory.data(), 0, size} {
        request.operation = operation;
        request.sector = sector;
        request.segments = {&segment, 1};
    }
    std::vector<std::byte> memory;
    DmaSpan segment;
    BlockRequest request;
};

}  // namespace exo::guest::test
