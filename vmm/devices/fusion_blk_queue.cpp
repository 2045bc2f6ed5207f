#include "vmm/devices/fusion_blk_queue.h"

#include <algorithm>
#include <span>

#include "shared/block/control_line.h"

namespace exo::vmm {
namespace {

using block::QueueState;
using block::Status;

/// Requests that one pass takes from a queue, so that a guest which submits without end cannot keep the
/// device from its other work.
constexpr std::size_t pick_up_limit = 64;

std::expected<fusion::Ring, QueueState> attach_ring(const GuestMemory& memory, GuestAddress address,
                                                    std::uint32_t capacity) {
    const auto bytes = memory.span_at(address, fusion::ring_bytes(capacity));
    if (address.value % block::page_size != 0 || !bytes) return std::unexpected(QueueState::bad_address);
    const auto ring = fusion::Ring::attach(*bytes);
    if (!ring || ring->capacity() != capacity) return std::unexpected(QueueState::bad_ring);
    return *ring;
}

bool overlap(GuestAddress one, GuestAddress other, std::uint64_t size) {
    const std::uint64_t distance = one < other ? other.value - one.value : one.value - other.value;
    return distance < size;
}

}  // namespace

std::expected<FusionBlkQueue, QueueState> FusionBlkQueue::attach(const GuestMemory& memory,
                                                                 const Setup& setup) {
    if (!fusion::is_valid_capacity(setup.capacity) || setup.capacity > fusion_blk_max_ring_capacity)
        return std::unexpected(QueueState::bad_capacity);
    const auto submission = attach_ring(memory, setup.submission_ring, setup.capacity);
    if (!submission) return std::unexpected(submission.error());
    const auto completion = attach_ring(memory, setup.completion_ring, setup.capacity);
    if (!completion) return std::unexpected(completion.error());
    if (overlap(setup.submission_ring, setup.completion_ring, fusion::ring_bytes(setup.capacity)))
        return std::unexpected(QueueState::bad_address);
    return FusionBlkQueue(*submission, *completion, setup);
}

FusionBlkQueue::FusionBlkQueue(const fusion::Ring& submission, const fusion::Ring& completion,
                               const Setup& setup)
    : setup_(setup),
      submission_ring_(submission),
      submissions_(submission),
      completions_(completion),
      entries_(setup.capacity) {
    for (std::uint32_t i = setup.capacity; i > 0; --i) idle_.push_back(i - 1);
}

/// Requests in the device and completions that the guest has not made room for are together no more than the
/// ring holds: a guest that never reaps costs a bounded amount of memory.
bool FusionBlkQueue::has_room(const FusionBlkShared& shared) const {
    return finished_.size() < idle_.size() && shared.in_flight < shared.depth_limit;
}

std::size_t FusionBlkQueue::pick_up(FusionBlkShared& shared, Pass pass) {
    more_ = false;
    if (pass == Pass::poll) wake();
    if (barrier_waits_ && !start_barrier(shared)) return 0;
    std::size_t taken = 0;
    for (; taken < pick_up_limit; ++taken) {
        if (broken_ || barrier_waits_ || barrier_runs_ || !has_room(shared) || !take_next(shared))
            return taken;
    }
    more_ = true;
    return taken;
}

/// From here on the guest need not ring.
void FusionBlkQueue::wake() {
    if (!asleep_) return;
    submissions_.finish_sleep();
    asleep_ = false;
}

bool FusionBlkQueue::take_next(FusionBlkShared& shared) {
    const auto message = submissions_.recv();
    if (!message) {
        if (message.error() == fusion::ReceiveError::empty) return false;
        ++shared.counters.bad_descriptors;
        broken_ = message.error() == fusion::ReceiveError::corrupt;
        return !broken_;
    }
    wake();
    take(*message, shared);
    return true;
}

void FusionBlkQueue::take(const fusion::Message& message, FusionBlkShared& shared) {
    block::Request request;
    __builtin_memcpy(&request, message.payload, sizeof(request));
    const bool is_request = message.kind == fusion::Kind::inline_data && message.length == sizeof(request);
    if (!is_request) return refuse(request.tag, Status::bad_request, shared);

    Entry& entry = entries_[idle_.back()];
    const Status status = check_request(request, shared.memory, shared.limits, entry.request);
    if (status != Status::ok) return refuse(request.tag, status, shared);
    const std::uint32_t index = idle_.back();
    idle_.pop_back();
    entry.tag = request.tag;
    entry.traced = request.submit_tsc != 0;
    entry.pickup_tsc = entry.traced ? shared.tsc() : 0;
    entry.submitted_tsc = 0;
    entry.picked_up = shared.now;
    if (!entry.request.barrier) return start(index, shared);
    barrier_ = index;
    barrier_waits_ = true;
    static_cast<void>(start_barrier(shared));
}

void FusionBlkQueue::refuse(std::uint32_t tag, Status status, FusionBlkShared& shared) {
    ++shared.counters.bad_descriptors;
    // Told at once: whoever made it is in trouble already.
    block::Completion completion{};
    completion.tag = tag;
    completion.status = status;
    finish(completion, block::Urgency::urgent, shared);
}

bool FusionBlkQueue::start_barrier(FusionBlkShared& shared) {
    if (in_flight_ > 0 || shared.in_flight >= shared.depth_limit) return false;
    barrier_waits_ = false;
    barrier_runs_ = true;
    start(barrier_, shared);
    return true;
}

void FusionBlkQueue::start(std::uint32_t index, FusionBlkShared& shared) {
    Entry& entry = entries_[index];
    if (entry.traced) entry.submitted_tsc = shared.tsc();
    ++in_flight_;
    ++shared.in_flight;
    shared.batch.push_back({.operation = entry.request.operation,
                            .fua = entry.request.fua,
                            .offset = entry.request.offset,
                            .segments = entry.request.segments,
                            .cookie = std::uint64_t{setup_.index} << 32 | index});
}

void FusionBlkQueue::complete(const DiskCompletion& done, FusionBlkShared& shared) {
    const auto index = static_cast<std::uint32_t>(done.cookie);
    const Entry& entry = entries_[index];
    const CheckedRequest& request = entry.request;
    const Status status = status_of(done, request.bytes);
    const std::chrono::nanoseconds duration = shared.now - entry.picked_up;
    if (status == Status::ok) {
        shared.counters.add(request.operation, request.bytes);
        shared.times.add(request.operation, request.bytes, duration);
    }
    if (barrier_runs_ && index == barrier_) barrier_runs_ = false;
    --in_flight_;
    idle_.push_back(index);
    finish({.tag = entry.tag,
            .status = status,
            .bytes = status == Status::ok ? request.bytes : 0,
            .service_time_ns = clamp_ns(duration),
            .pickup_tsc = entry.pickup_tsc,
            .submitted_tsc = entry.submitted_tsc,
            .completed_tsc = entry.traced ? shared.tsc() : 0,
            .reserved = {}},
           request.urgency, shared);
}

void FusionBlkQueue::finish(const block::Completion& completion, block::Urgency urgency,
                            FusionBlkShared& shared) {
    ++shared.counters.completions[static_cast<std::size_t>(completion.status)];
    finished_.push_back(completion);
    urgencies_.push_back(urgency);
}

/// `told` are the urgencies of what was published just now.
bool FusionBlkQueue::interrupt_due(std::span<const block::Urgency> told, FusionBlkShared& shared) {
    const bool passed = completions_.must_notify();
    if (!setup_.has_interrupt) return false;
    const bool sleeps = passed || completions_.consumer_sleeps();
    if (sleeps && !passed && std::ranges::find(told, block::Urgency::urgent) == told.end()) {
        for (const block::Urgency urgency : told) coalescing_.hold(urgency, shared.now);
        return false;
    }
    coalescing_.clear();
    if (sleeps) ++shared.counters.interrupts;
    return sleeps;
}

bool FusionBlkQueue::coalesced_interrupt(FusionBlkShared& shared) {
    const bool complete = in_flight_ == 0 && finished_.empty() && !barrier_waits_ && !more_ &&
                          (broken_ || !submissions_.has_messages());
    if (!coalescing_.due(shared.now, complete)) return false;
    coalescing_.clear();
    // It may have looked by itself meanwhile, and even sleep again.
    if (!completions_.consumer_sleeps() || completions_.is_drained()) return false;
    ++shared.counters.interrupts;
    return true;
}

bool FusionBlkQueue::publish(FusionBlkShared& shared) {
    if (finished_.empty()) return false;
    const auto sent = completions_.send_batch(std::span<const block::Completion>(finished_));
    if (!sent) return false;
    if (waits_for_room_) {
        completions_.finish_sleep();
        waits_for_room_ = false;
    }
    const bool due = interrupt_due(std::span(urgencies_).first(*sent), shared);
    const auto count = static_cast<std::ptrdiff_t>(*sent);
    finished_.erase(finished_.begin(), finished_.begin() + count);
    urgencies_.erase(urgencies_.begin(), urgencies_.begin() + count);
    return due;
}

bool FusionBlkQueue::settle(FusionBlkShared& shared, Pass pass) {
    publish_control(shared);
    bool settled = !more_;
    const bool wants_submissions = !broken_ && !barrier_waits_ && !barrier_runs_ && has_room(shared);
    if (settled && wants_submissions && pass == Pass::rest) {
        // Asleep already, there may yet be requests that there was no room for: their doorbell has rung.
        const bool nothing_left = asleep_ ? !submissions_.has_messages() : submissions_.prepare_sleep();
        asleep_ = asleep_ || nothing_left;
        settled = nothing_left;
    }
    if (!finished_.empty() && !waits_for_room_) {
        ++shared.counters.held_back;
        waits_for_room_ = completions_.prepare_sleep();
        settled = settled && waits_for_room_;
    }
    return settled;
}

void FusionBlkQueue::publish_control(const FusionBlkShared& shared) {
    block::DeviceControl control{};
    shared.times.write_to(control);
    control.notification_cost_ns = shared.notification_cost.ns();
    control.depth = static_cast<std::uint32_t>(in_flight_);
    block::publish_control(submission_ring_.header().consumer_wake, control);
}

}  // namespace exo::vmm
