#include "guest/drivers/block/fusion_blk_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "shared/block/control_line.h"

namespace exo::guest {
namespace {

constexpr std::size_t table_bytes = FusionBlkQueue::max_segments * sizeof(block::Segment);

block::Operation operation_of(BlockOperation operation) {
    switch (operation) {
        case BlockOperation::read:
            return block::Operation::read;
        case BlockOperation::write:
            return block::Operation::write;
        case BlockOperation::flush:
            return block::Operation::flush;
    }
    return block::Operation::read;
}

std::uint8_t flags_of(const BlockRequest& request) {
    block::Urgency urgency = block::Urgency::normal;
    if (request.urgency == BlockUrgency::urgent) urgency = block::Urgency::urgent;
    if (request.urgency == BlockUrgency::relaxed) urgency = block::Urgency::relaxed;
    auto flags = static_cast<std::uint8_t>(urgency);
    if (request.barrier) flags |= block::flag::barrier;
    if (request.fua && request.operation == BlockOperation::write) flags |= block::flag::fua;
    return flags;
}

/// What the device's answer means; nothing for one that does not exist.
std::optional<BlockStatus> status_of(block::Status status) {
    switch (status) {
        case block::Status::ok:
            return BlockStatus::ok;
        case block::Status::io_error:
            return BlockStatus::medium_error;
        case block::Status::bad_request:
        case block::Status::bad_address:
            return BlockStatus::invalid_request;
        case block::Status::out_of_range:
            return BlockStatus::out_of_range;
        case block::Status::read_only:
            return BlockStatus::read_only;
        case block::Status::no_space:
            return BlockStatus::no_space;
    }
    return std::nullopt;
}

void tell_times(const block::Completion& completion, BlockRequest& request) {
    request.service_ns = completion.service_time_ns;
    if (request.times == nullptr) return;
    request.times->pickup = completion.pickup_tsc;
    request.times->submitted = completion.submitted_tsc;
    request.times->completed = completion.completed_tsc;
}

block::Segment segment_of(const DmaSpan& span) {
    return {span.physical, static_cast<std::uint32_t>(span.size), 0};
}

}  // namespace

Result<FusionBlkQueue> FusionBlkQueue::create(DmaMemory& memory, std::uint32_t capacity) {
    auto submission = DmaBuffer::allocate(memory, fusion::ring_bytes(capacity));
    if (!submission) return std::unexpected(submission.error());
    auto completion = DmaBuffer::allocate(memory, fusion::ring_bytes(capacity));
    if (!completion) return std::unexpected(completion.error());
    auto tables = DmaBuffer::allocate(memory, capacity * table_bytes);
    if (!tables) return std::unexpected(tables.error());
    return FusionBlkQueue(capacity, std::move(*submission), std::move(*completion), std::move(*tables));
}

FusionBlkQueue::FusionBlkQueue(std::uint32_t capacity, DmaBuffer submission, DmaBuffer completion,
                               DmaBuffer tables)
    : capacity_(capacity),
      submission_memory_(std::move(submission)),
      completion_memory_(std::move(completion)),
      tables_(std::move(tables)) {
    format();
}

void FusionBlkQueue::format() {
    std::memset(submission_memory_.data(), 0, submission_memory_.size());
    std::memset(completion_memory_.data(), 0, completion_memory_.size());
    const auto submission = fusion::Ring::format(submission_memory_.span().bytes(), capacity_);
    const auto completion = fusion::Ring::format(completion_memory_.span().bytes(), capacity_);
    submissions_.emplace(*submission);
    completions_.emplace(*completion);
    idle_count_ = 0;
    for (std::uint32_t index = capacity_; index > 0; --index)
        idle_[idle_count_++] = static_cast<std::uint8_t>(index - 1);
}

std::uint32_t FusionBlkQueue::take_tag(BlockRequest& request) {
    const std::uint32_t index = idle_[--idle_count_];
    Slot& slot = slots_[index];
    slot.request = &request;
    ++slot.generation;
    return slot.generation << index_bits | index;
}

BlockRequest* FusionBlkQueue::give_back_tag(std::uint32_t index) {
    idle_[idle_count_++] = static_cast<std::uint8_t>(index);
    return std::exchange(slots_[index].request, nullptr);
}

bool FusionBlkQueue::is_in_flight(std::uint32_t tag) const {
    const std::uint32_t index = tag & index_mask;
    if (index >= capacity_) return false;
    const Slot& slot = slots_[index];
    return slot.request != nullptr && (slot.generation << index_bits | index) == tag;
}

bool FusionBlkQueue::push(BlockRequest& request) {
    block::Request message{};
    message.tag = take_tag(request);
    const std::uint32_t index = message.tag & index_mask;
    if (request.times != nullptr) message.submit_tsc = request.times->submit;
    message.operation = operation_of(request.operation);
    message.flags = flags_of(request);
    if (request.operation != BlockOperation::flush) {
        message.sector = request.sector;
        message.segment_count = static_cast<std::uint16_t>(request.segments.size());
        place_segments(request, index, message);
    }
    // There are as many tags as slots, and the device releases a slot before it completes the request.
    const bool sent = submissions_->send(message).has_value();
    if (!sent) give_back_tag(index);
    return sent;
}

void FusionBlkQueue::place_segments(const BlockRequest& request, std::uint32_t index,
                                    block::Request& message) const {
    const auto segments = request.segments;
    if (segments.size() <= block::inline_segments) {
        for (std::size_t i = 0; i < segments.size(); ++i) message.segments[i] = segment_of(segments[i]);
        return;
    }
    const DmaSpan table =
        tables_.span().subspan(index * table_bytes, segments.size() * sizeof(block::Segment));
    for (std::size_t i = 0; i < segments.size(); ++i) {
        const block::Segment segment = segment_of(segments[i]);
        std::memcpy(table.data + i * sizeof(segment), &segment, sizeof(segment));
    }
    message.flags |= block::flag::indirect;
    message.segments[0] = segment_of(table);
}

std::optional<FusionBlkQueue::Ended> FusionBlkQueue::pop() {
    block::Completion completion;
    if (const auto taken = completions_->recv(completion); !taken) {
        if (taken.error() == fusion::ReceiveError::empty) return std::nullopt;
        return Ended{.fault = true};
    }
    const bool known = is_in_flight(completion.tag);
    const auto status = status_of(completion.status);
    if (!known || !status) return Ended{.fault = true};
    BlockRequest* const request = give_back_tag(completion.tag & index_mask);
    tell_times(completion, *request);
    // All data or an error: a device that says ok and moved less has lied.
    if (*status == BlockStatus::ok && completion.bytes != request->bytes())
        return Ended{request, BlockStatus::medium_error, true};
    return Ended{request, *status, false};
}

BlockRequest* FusionBlkQueue::take_back() {
    for (Slot& slot : slots_)
        if (slot.request != nullptr) return std::exchange(slot.request, nullptr);
    return nullptr;
}

void FusionBlkQueue::announce(const IoPlan& plan) {
    auto& header = *reinterpret_cast<fusion::RingHeader*>(completion_memory_.data());
    const block::DriverControl wish{.mode = static_cast<std::uint32_t>(plan.mode),
                                    .poll_budget_ns = plan.poll_budget_ns,
                                    .batch_limit = plan.batch,
                                    .reserved = {}};
    block::publish_control(header.consumer_wake, wish);
}

std::uint32_t FusionBlkQueue::notification_cost_ns() const {
    constexpr std::uint32_t most = 20'000;
    const auto& header = *reinterpret_cast<const fusion::RingHeader*>(submission_memory_.data());
    const auto control = block::read_control<block::DeviceControl>(header.consumer_wake);
    return std::min(control.notification_cost_ns, most);
}

void FusionBlkQueue::leak() {
    submission_memory_.leak();
    completion_memory_.leak();
    tables_.leak();
}

}  // namespace exo::guest
