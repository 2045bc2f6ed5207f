#include "vmm/machine/io_bus.h"

#include <algorithm>
#include <mutex>

#include "vmm/machine/io_value.h"

namespace exo::vmm {

IoBus::RangeId IoBus::add(std::string name, std::uint64_t size, IoHandler& handler) {
    const std::unique_lock lock(mutex_);
    ranges_.emplace_back(std::move(name), size, handler);
    return static_cast<RangeId>(ranges_.size() - 1);
}

IoBus::RangeId IoBus::add_at(std::string name, AddressRange range, IoHandler& handler) {
    const RangeId id = add(std::move(name), range.size, handler);
    place(id, range.start);
    return id;
}

void IoBus::place(RangeId id, std::uint64_t start) {
    const std::unique_lock lock(mutex_);
    Range& range = range_of(id);
    range.start.reset();
    if (AddressRange{start, range.size}.valid()) range.start = start;
    rebuild();
}

void IoBus::withdraw(RangeId id) {
    const std::unique_lock lock(mutex_);
    range_of(id).start.reset();
    rebuild();
}

void IoBus::put_first(RangeId id) {
    const std::unique_lock lock(mutex_);
    first_ = &range_of(id);
    rebuild();
}

void IoBus::rebuild() {
    std::vector<std::uint64_t> edges;
    for (const Range& range : ranges_) {
        if (!range.start) continue;
        edges.push_back(*range.start);
        edges.push_back(*range.start + range.size);
    }
    std::ranges::sort(edges);

    segments_.clear();
    for (std::size_t i = 0; i + 1 < edges.size(); ++i) {
        const AddressRange stretch{edges[i], edges[i + 1] - edges[i]};
        if (stretch.size == 0) continue;
        const auto owner = std::ranges::find_if(ranges_, [&](const Range& range) {
            return range.start && AddressRange{*range.start, range.size}.contains(stretch);
        });
        if (owner == ranges_.end()) continue;
        if (!segments_.empty() && segments_.back().range == &*owner &&
            segments_.back().where.end() == stretch.start)
            segments_.back().where.size += stretch.size;
        else
            segments_.push_back({stretch, &*owner});
    }

    // The short cut must not pass over a range that has precedence.
    const auto whole = std::ranges::find_if(segments_, [&](const Segment& segment) {
        return segment.range == first_ && segment.where.size == first_->size;
    });
    first_start_.store(whole == segments_.end() ? nowhere : whole->where.start, std::memory_order_relaxed);
}

IoBus::Target IoBus::find(std::uint64_t address, std::size_t size) const {
    const std::shared_lock lock(mutex_);
    const auto after =
        std::ranges::upper_bound(segments_, address, {}, [](const Segment& s) { return s.where.start; });
    if (after != segments_.begin()) {
        const Segment& segment = *(after - 1);
        const std::uint64_t into = address - segment.where.start;
        if (into < segment.where.size) {
            if (size > segment.where.size - into) return {.split = true};
            return {.range = segment.range, .offset = address - *segment.range->start};
        }
    }
    return {.split = after != segments_.end() && after->where.start - address < size};
}

std::optional<std::uint64_t> IoBus::offset_in_first(std::uint64_t address, std::size_t size) const {
    const std::uint64_t start = first_start_.load(std::memory_order_relaxed);
    if (start == nowhere || address < start) return std::nullopt;
    const std::uint64_t offset = address - start;
    if (offset >= first_->size || size > first_->size - offset) return std::nullopt;
    return offset;
}

void IoBus::read(std::uint64_t address, std::span<std::byte> data) {
    if (const auto offset = offset_in_first(address, data.size())) {
        first_->reads.fetch_add(1, std::memory_order_relaxed);
        first_->handler->read(*offset, data);
        return;
    }
    dispatch_read(address, data);
    if (observer_) observer_->accessed(IoDirection::read, address, data);
}

void IoBus::write(std::uint64_t address, std::span<const std::byte> data) {
    if (const auto offset = offset_in_first(address, data.size())) {
        first_->writes.fetch_add(1, std::memory_order_relaxed);
        first_->handler->write(*offset, data);
        return;
    }
    dispatch_write(address, data);
    if (observer_) observer_->accessed(IoDirection::write, address, data);
}

void IoBus::dispatch_read(std::uint64_t address, std::span<std::byte> data) {
    const Target target = find(address, data.size());
    if (target.split) {
        for (std::size_t i = 0; i < data.size(); ++i) dispatch_read(address + i, data.subspan(i, 1));
    } else if (target.range) {
        target.range->reads.fetch_add(1, std::memory_order_relaxed);
        target.range->handler->read(target.offset, data);
    } else {
        unclaimed_reads_.fetch_add(1, std::memory_order_relaxed);
        put_ones(data);
    }
}

void IoBus::dispatch_write(std::uint64_t address, std::span<const std::byte> data) {
    const Target target = find(address, data.size());
    if (target.split) {
        for (std::size_t i = 0; i < data.size(); ++i) dispatch_write(address + i, data.subspan(i, 1));
    } else if (target.range) {
        target.range->writes.fetch_add(1, std::memory_order_relaxed);
        target.range->handler->write(target.offset, data);
    } else {
        unclaimed_writes_.fetch_add(1, std::memory_order_relaxed);
    }
}

std::vector<IoBus::Count> IoBus::counts() const {
    const std::shared_lock lock(mutex_);
    std::vector<Count> counts;
    for (const Range& range : ranges_) counts.push_back({range.name, range.reads, range.writes});
    counts.push_back({"unclaimed", unclaimed_reads_, unclaimed_writes_});
    return counts;
}

}  // namespace exo::vmm
