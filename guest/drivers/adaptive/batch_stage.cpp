#include "guest/drivers/adaptive/batch_stage.h"

#include <algorithm>

namespace exo::guest {
namespace {

bool divides(const BlockRequest& request) {
    return request.barrier || request.operation == BlockOperation::flush;
}

bool overlap(std::uint64_t a, std::uint64_t a_sectors, std::uint64_t b, std::uint64_t b_sectors) {
    return a < b + b_sectors && b < a + a_sectors;
}

}  // namespace

bool BatchStage::add(BlockRequest& request) {
    if (waiting() == capacity) return false;
    insert(request, false);
    return true;
}

void BatchStage::insert(BlockRequest& request, bool alone) {
    const std::uint64_t sectors = request.bytes() / sector_size;
    waiting_[waiting_count_] = {&request, sectors, epoch_for(request, sectors), alone};
    ++waiting_count_;
}

/// That of the last one, or the next when it must not be passed.
std::uint32_t BatchStage::epoch_for(const BlockRequest& request, std::uint64_t sectors) const {
    if (waiting_count_ == 0) return 0;
    const std::uint32_t current = waiting_[waiting_count_ - 1].epoch;
    if (divides(request) || divides(*waiting_[waiting_count_ - 1].request)) return current + 1;
    const bool writes = request.operation == BlockOperation::write;
    for (std::size_t i = waiting_count_; i > 0 && waiting_[i - 1].epoch == current; --i) {
        const Waiting& other = waiting_[i - 1];
        const bool either_writes = writes || other.request->operation == BlockOperation::write;
        if (either_writes && overlap(request.sector, sectors, other.request->sector, other.sectors))
            return current + 1;
    }
    return current;
}

/// Insertion sort: there are few, and they often come in order.
void BatchStage::sort() {
    const auto before = [](const Waiting& a, const Waiting& b) {
        return a.epoch != b.epoch ? a.epoch < b.epoch : a.request->sector < b.request->sector;
    };
    for (std::size_t i = 1; i < waiting_count_; ++i) {
        const Waiting moved = waiting_[i];
        std::size_t hole = i;
        for (; hole > 0 && before(moved, waiting_[hole - 1]); --hole) waiting_[hole] = waiting_[hole - 1];
        waiting_[hole] = moved;
    }
}

std::span<BlockRequest* const> BatchStage::arrange() {
    sort();
    std::size_t taken = 0;
    while (taken < waiting_count_) taken += emit(taken);
    waiting_count_ = 0;
    return std::span(ready_).first(ready_count_);
}

/// Makes one request ready from the front of what waits, joined with those that follow it without a gap.
/// Returns how many it covers.
std::size_t BatchStage::emit(std::size_t from) {
    const Waiting& first = waiting_[from];
    ready_[ready_count_] = first.request;
    ++ready_count_;
    Group* const group = from + 1 < waiting_count_ ? free_group() : nullptr;
    if (group == nullptr) return 1;
    group->part_count = group->segment_count = 0;
    if (!group->takes(first, *info_)) return 1;
    group->add(first);
    for (std::size_t next = from + 1; next < waiting_count_; ++next) {
        if (waiting_[next].epoch != first.epoch || !group->takes(waiting_[next], *info_)) break;
        group->add(waiting_[next]);
    }
    if (group->part_count == 1) return 1;
    group->in_use = true;
    ++groups_in_use_;
    group->joined.reset();
    ready_[ready_count_ - 1] = &group->joined;
    return group->part_count;
}

BatchStage::Group* BatchStage::free_group() {
    for (Group& group : groups_)
        if (!group.in_use) return &group;
    return nullptr;
}

bool BatchStage::Group::takes(const Waiting& next, const DiskInfo& info) const {
    const BlockRequest& request = *next.request;
    if (next.alone || divides(request)) return false;
    const std::size_t limit = std::min<std::size_t>(most_segments, info.max_segments);
    if (segment_count + request.segments.size() > limit) return false;
    if (part_count == 0) return true;
    return request.operation == joined.operation && request.fua == joined.fua &&
           request.urgency == joined.urgency && request.sector == joined.sector + sectors &&
           (sectors + next.sectors) * sector_size <= info.max_transfer;
}

void BatchStage::Group::add(const Waiting& next) {
    const BlockRequest& request = *next.request;
    if (part_count == 0) {
        joined.operation = request.operation;
        joined.urgency = request.urgency;
        joined.fua = request.fua;
        joined.sector = request.sector;
        joined.times = nullptr;
        sectors = 0;
    }
    if (joined.times == nullptr) joined.times = request.times;
    parts[part_count++] = next.request;
    for (const DmaSpan& segment : request.segments) segments[segment_count++] = segment;
    joined.segments = std::span(segments).first(segment_count);
    sectors += next.sectors;
}

void BatchStage::handed_over(std::size_t count) {
    std::copy(ready_.begin() + static_cast<std::ptrdiff_t>(count),
              ready_.begin() + static_cast<std::ptrdiff_t>(ready_count_), ready_.begin());
    ready_count_ -= count;
}

std::size_t BatchStage::collect() {
    std::size_t ended = 0;
    for (Group& group : groups_) {
        if (!group.in_use || !group.joined.done()) continue;
        const BlockStatus status = group.joined.status.load(std::memory_order_acquire);
        const bool ask_again = status != BlockStatus::ok && status != BlockStatus::timed_out &&
                               status != BlockStatus::device_failed;
        if (ask_again && waiting() + group.part_count > capacity) continue;  // when there is room
        group.in_use = false;
        --groups_in_use_;
        if (ask_again) {
            for (std::size_t i = 0; i < group.part_count; ++i) insert(*group.parts[i], true);
        } else {
            group.end_parts(status);
            ended += group.part_count;
        }
    }
    return ended;
}

void BatchStage::Group::end_parts(BlockStatus status) {
    for (std::size_t i = 0; i < part_count; ++i) {
        parts[i]->service_ns = joined.service_ns;
        parts[i]->finish(status);
    }
}

}  // namespace exo::guest
