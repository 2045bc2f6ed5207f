#include "guest/memory/frame_allocator.h"

#include <algorithm>
#include <bit>

namespace exo::guest {
namespace {

using Region = FrameAllocator::Region;

constexpr std::uint64_t word_bits = 64;

/// The first frame in [from, to) that is taken, or free, as asked; `to` when there is none. Whole words that
/// hold no such frame are passed over at once.
std::uint64_t find(const Region& region, std::uint64_t from, std::uint64_t to, bool taken) {
    while (from < to) {
        const std::uint64_t word = region.taken[from / word_bits];
        const std::uint64_t wanted = (taken ? word : ~word) >> (from % word_bits);
        if (wanted != 0) return std::min(to, from + static_cast<unsigned>(std::countr_zero(wanted)));
        from = (from / word_bits + 1) * word_bits;
    }
    return to;
}

void mark(Region& region, std::uint64_t from, std::uint64_t to, bool taken) {
    for (std::uint64_t frame = from; frame < to;) {
        const std::uint64_t end = std::min(to, (frame / word_bits + 1) * word_bits);
        const std::uint64_t count = end - frame;
        const std::uint64_t mask = (count == word_bits ? ~0ull : (1ull << count) - 1) << (frame % word_bits);
        std::uint64_t& word = region.taken[frame / word_bits];
        word = taken ? word | mask : word & ~mask;
        frame = end;
    }
}

constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
    return (value + alignment - 1) & ~(alignment - 1);
}

/// The lowest suitable run of free frames, as an index into the region.
std::uint64_t find_run(const Region& region, std::uint64_t count,
                       const FrameAllocator::Constraint& constraint, std::uint64_t none) {
    if (constraint.below <= region.start) return none;
    const std::uint64_t end = std::min(region.frames, (constraint.below - region.start) / frame_size);
    std::uint64_t frame = region.first_hint;
    while (frame < end) {
        frame = find(region, frame, end, false);
        const std::uint64_t aligned = align_up(region.start + frame * frame_size, constraint.alignment);
        frame = (aligned - region.start) / frame_size;
        if (frame >= end || count > end - frame) return none;
        const std::uint64_t obstacle = find(region, frame, frame + count, true);
        if (obstacle == frame + count) return frame;
        frame = obstacle + 1;
    }
    return none;
}

}  // namespace

Result<void> FrameAllocator::add_region(std::uint64_t start, std::uint64_t frames, std::uint64_t* bitmap) {
    if (region_count_ == max_regions) return fail("memory region", "the table of regions is full");
    if (start % frame_size != 0 || frames == 0 || frames > (~0ull - start) / frame_size)
        return fail("memory region", "it is empty, misaligned or wraps around");
    if (region_count_ > 0) {
        const Region& last = regions_[region_count_ - 1];
        if (start < last.start + last.frames * frame_size)
            return fail("memory region", "it overlaps or precedes the one before");
    }
    std::fill_n(bitmap, bitmap_bytes(frames) / sizeof(*bitmap), ~0ull);
    regions_[region_count_++] = {
        .start = start, .frames = frames, .free_frames = 0, .taken = bitmap, .first_hint = frames};
    return {};
}

void FrameAllocator::hand_over(FrameKeeper& keeper) {
    keeper_ = &keeper;
    keeper.take_over(*this);
}

Result<std::uint64_t> FrameAllocator::allocate(std::uint64_t count, const Constraint& constraint) {
    const auto own = allocate_own(count, constraint);
    return own || keeper_ == nullptr ? own : keeper_->allocate_frames(count, constraint);
}

Result<void> FrameAllocator::release(std::uint64_t start, std::uint64_t count) {
    if (keeper_ == nullptr) return release_own(start, count);
    if (keeper_->owns_frames(start)) return keeper_->release_frames(start, count);
    const auto released = release_own(start, count);
    if (released) keeper_->take_over(*this);
    return released;
}

Result<std::uint64_t> FrameAllocator::allocate_own(std::uint64_t count, const Constraint& constraint) {
    if (count == 0 || !std::has_single_bit(constraint.alignment) || constraint.alignment < frame_size)
        return fail("physical memory", "no frames, or an impossible alignment, asked for");
    constexpr std::uint64_t none = ~0ull;
    const Locked guard(lock_);
    for (std::size_t i = region_count_; i-- > 0;) {
        Region& region = regions_[i];
        if (region.free_frames < count) continue;
        const std::uint64_t frame = find_run(region, count, constraint, none);
        if (frame == none) continue;
        mark(region, frame, frame + count, true);
        region.free_frames -= count;
        if (frame == region.first_hint) region.first_hint = frame + count;
        return region.start + frame * frame_size;
    }
    return fail("physical memory", "no free range is large enough", "give the machine more memory");
}

Result<void> FrameAllocator::release_own(std::uint64_t start, std::uint64_t count) {
    const Locked guard(lock_);
    for (std::size_t i = 0; i < region_count_; ++i) {
        Region& region = regions_[i];
        const std::uint64_t frame = (start - region.start) / frame_size;
        if (start < region.start || frame >= region.frames) continue;
        if (start % frame_size != 0 || count == 0 || count > region.frames - frame) break;
        if (find(region, frame, frame + count, false) != frame + count)
            return fail("physical memory", "frames were released that are free already");
        mark(region, frame, frame + count, false);
        region.free_frames += count;
        region.first_hint = std::min(region.first_hint, frame);
        return {};
    }
    return fail("physical memory", "frames were released that the allocator does not have");
}

std::optional<FrameAllocator::Run> FrameAllocator::take_free_run(std::uint64_t from, std::uint64_t to) {
    const Locked guard(lock_);
    for (std::size_t i = 0; i < region_count_; ++i) {
        Region& region = regions_[i];
        if (to <= region.start) break;
        const std::uint64_t end = std::min(region.frames, (to - region.start) / frame_size);
        const std::uint64_t low = from > region.start ? (from - region.start) / frame_size : 0;
        const std::uint64_t first = find(region, low, end, false);
        if (first >= end) continue;
        const std::uint64_t last = find(region, first, end, true);
        mark(region, first, last, true);
        region.free_frames -= last - first;
        return Run{region.start + first * frame_size, last - first};
    }
    return std::nullopt;
}

std::uint64_t FrameAllocator::total_frames() const {
    std::uint64_t sum = 0;
    for (const Region& region : regions()) sum += region.frames;
    return sum;
}

std::uint64_t FrameAllocator::free_frames() const {
    std::uint64_t sum = keeper_ != nullptr ? keeper_->kept_free_frames() : 0;
    for (const Region& region : regions()) sum += region.free_frames;
    return sum;
}

}  // namespace exo::guest
