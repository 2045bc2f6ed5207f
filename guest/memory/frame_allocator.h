#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "guest/arch/spin_lock.h"
#include "guest/kernel/error.h"

namespace exo::guest {

inline constexpr std::uint64_t frame_size = 4096;

class FrameKeeper;

/// Hands out physical memory in frames of 4 KiB, physically contiguous as many as asked for. It touches only
/// its own bookkeeping, a bit for each frame, never the frames.
///
/// Memory above comes first, so that what lies low is left for devices that reach no higher.
class FrameAllocator {
  public:
    /// Where frames may lie and how they are aligned.
    struct Constraint {
        std::uint64_t alignment = frame_size;     ///< bytes, a power of two, at least a frame
        std::uint64_t below = ~std::uint64_t{0};  ///< the frames end at or below this physical address
    };

    /// A range of physical memory that it manages, and its bookkeeping.
    struct Region {
        std::uint64_t start = 0;  ///< physical address, a multiple of the frame size
        std::uint64_t frames = 0;
        std::uint64_t free_frames = 0;
        std::uint64_t* taken = nullptr;  ///< a bit for each frame, set when it is not free
        std::uint64_t first_hint = 0;    ///< no frame before this one is free
    };

    static constexpr std::size_t max_regions = 128;

    /// Bytes of bookkeeping that `frames` frames need.
    static constexpr std::size_t bitmap_bytes(std::uint64_t frames) { return (frames + 63) / 64 * 8; }

    /// Adds memory, all of it taken; `release` makes it free. `bitmap` has `bitmap_bytes(frames)` bytes and
    /// belongs to the allocator from now on. Regions are added in ascending order and do not overlap.
    Result<void> add_region(std::uint64_t start, std::uint64_t frames, std::uint64_t* bitmap);

    /// The physical address of `count` contiguous frames.
    Result<std::uint64_t> allocate(std::uint64_t count, const Constraint& constraint);
    Result<std::uint64_t> allocate(std::uint64_t count) { return allocate(count, Constraint{}); }

    /// Makes frames free. Refuses, and changes nothing, when any of them is free already or was never
    /// managed.
    Result<void> release(std::uint64_t start, std::uint64_t count);

    /// From now on the keeper has all frames that are or become free, as far as it takes them.
    void hand_over(FrameKeeper& keeper);

    struct Run {
        std::uint64_t start;  ///< physical address
        std::uint64_t frames;
    };
    /// Takes the lowest run of free frames that starts at or above `from`, cut at `to` (frame-aligned
    /// physical addresses).
    std::optional<Run> take_free_run(std::uint64_t from, std::uint64_t to);

    std::uint64_t total_frames() const;
    std::uint64_t free_frames() const;
    std::span<const Region> regions() const { return {regions_, region_count_}; }

  private:
    Result<std::uint64_t> allocate_own(std::uint64_t count, const Constraint& constraint);
    Result<void> release_own(std::uint64_t start, std::uint64_t count);

    SpinLock lock_;  ///< of what the regions' bitmaps say
    Region regions_[max_regions];
    std::size_t region_count_ = 0;
    FrameKeeper* keeper_ = nullptr;
};

/// An allocator with lists of its own that the machine's memory can be handed over to.
class FrameKeeper {
  public:
    /// As FrameAllocator's.
    virtual Result<std::uint64_t> allocate_frames(std::uint64_t count,
                                                  const FrameAllocator::Constraint& constraint) = 0;
    /// Frames are released as they were allocated here.
    virtual Result<void> release_frames(std::uint64_t start, std::uint64_t count) = 0;
    /// Whether it has taken over these frames.
    virtual bool owns_frames(std::uint64_t start) const = 0;
    /// Takes what is free in `frames`, by take_free_run, and as much of it as it can keep.
    virtual void take_over(FrameAllocator& frames) = 0;
    virtual std::uint64_t kept_free_frames() const = 0;

  protected:
    ~FrameKeeper() = default;
};

}  // namespace exo::guest
