#include "vmm/devices/fusion_blk.h"

#include <x86intrin.h>

#include <algorithm>
#include <array>
#include <utility>

namespace exo::vmm {

using block::DeviceStatus;
using block::QueueState;

std::uint64_t read_tsc() {
    return __rdtsc();
}

Result<std::unique_ptr<FusionBlk>> FusionBlk::create(const GuestMemory& memory, Disk& disk,
                                                     const Clock& clock, const Options& options) {
    if (options.queue_count == 0 || options.queue_count > block::queue_limit)
        return fail("fusion-blk", fmt::format("{} queues", options.queue_count),
                    fmt::format("give it 1 to {}", block::queue_limit));
    auto doorbells = Doorbells::create(options.queue_count);
    if (!doorbells) return std::unexpected(doorbells.error());
    return std::unique_ptr<FusionBlk>(new FusionBlk(memory, disk, clock, options, std::move(*doorbells)));
}

FusionBlk::FusionBlk(const GuestMemory& memory, Disk& disk, const Clock& clock, const Options& options,
                     Doorbells doorbells)
    : disk_(disk),
      clock_(clock),
      serial_(options.serial),
      doorbells_(std::move(doorbells)),
      shared_{.memory = memory,
              .limits = {DiskLimits::of(disk.geometry())},
              .tsc = options.tsc,
              .depth_limit = disk.depth()},
      queues_(options.queue_count) {}

void FusionBlk::connect_interrupt(std::uint32_t vector, InterruptLine& line) {
    if (lines_.size() <= vector) lines_.resize(vector + 1, nullptr);
    lines_[vector] = &line;
}

bool FusionBlk::service(Pass pass) {
    bool more = false;
    {
        const std::lock_guard lock(mutex_);
        more = work(pass);
    }
    raise_interrupts();
    return more;
}

/// The disk is reaped twice: what ends while it is submitted (from memory, or from the page cache) goes out
/// with the same notification.
bool FusionBlk::work(Pass pass) {
    shared_.now = clock_.now();
    if (status_ == DeviceStatus::resetting) disk_.cancel();
    std::size_t found = reap();
    for (std::size_t i = 0; i < queues_.size(); ++i) {
        Queue& queue = queues_[(first_queue_ + i) % queues_.size()];
        if (queue.engine) found += queue.engine->pick_up(shared_, pass);
    }
    first_queue_ = (first_queue_ + 1) % queues_.size();
    if (!shared_.batch.empty()) {
        disk_.submit(shared_.batch);
        shared_.batch.clear();
        shared_.now = clock_.now();
        found += reap();
    }
    bool more = std::exchange(more_completions_, false);
    deadline_ = disk_.deadline();
    for (Queue& queue : queues_)
        if (queue.engine) more |= finish_pass(queue, pass);
    return more || (pass == Pass::poll && found > 0);
}

/// True when the queue has more to do at once.
bool FusionBlk::finish_pass(Queue& queue, Pass pass) {
    bool interrupt = queue.engine->publish(shared_);
    const bool settled = queue.engine->settle(shared_, pass);
    interrupt |= queue.engine->coalesced_interrupt(shared_);
    if (interrupt) due_.push_back(queue.registers.vector);
    deadline_ = earlier(deadline_, queue.engine->deadline());
    if (queue.engine->broken()) {
        queue.registers.state = QueueState::broken;
        status_ = DeviceStatus::failed;
    }
    return !settled;
}

std::size_t FusionBlk::reap() {
    std::array<DiskCompletion, 64> completions;
    const std::size_t count = disk_.reap(completions);
    for (const DiskCompletion& completion : std::span(completions).first(count)) {
        --shared_.in_flight;
        // After a reset there is no queue to tell; the count is all that matters.
        auto& engine = queues_[completion.cookie >> 32].engine;
        if (engine) engine->complete(completion, shared_);
    }
    more_completions_ |= count == completions.size();
    end_reset();
    return count;
}

/// Outside the lock, which a vCPU may hold the MSI-X table's lock and wait for. So an interrupt may follow a
/// reset; a message-signalled interrupt without news is harmless.
void FusionBlk::raise_interrupts() {
    for (const std::uint32_t vector : due_) {
        const auto start = clock_.now();
        lines_[vector]->raise();
        const auto cost = clock_.now() - start;
        const std::lock_guard lock(mutex_);
        shared_.notification_cost.add(cost);
    }
    due_.clear();
}

void FusionBlk::reset() {
    const std::lock_guard lock(mutex_);
    reset_locked();
}

void FusionBlk::reset_locked() {
    for (Queue& queue : queues_) {
        queue.registers = {};
        queue.engine.reset();
    }
    driver_features_ = 0;
    queue_select_ = 0;
    status_ = DeviceStatus::resetting;
    ++shared_.counters.resets;
    end_reset();
    if (status_ == DeviceStatus::resetting) doorbells_.ring(0);
}

void FusionBlk::end_reset() {
    if (status_ == DeviceStatus::resetting && shared_.in_flight == 0) status_ = DeviceStatus::reset;
}

bool FusionBlk::quiescent() const {
    const std::lock_guard lock(mutex_);
    return shared_.in_flight == 0;
}

DiskCounters FusionBlk::counters() {
    const std::lock_guard lock(mutex_);
    DiskCounters counters = shared_.counters;
    counters.doorbells = doorbells_.rung();
    return counters;
}

}  // namespace exo::vmm
