#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/drivers/block/block_device.h"
#include "guest/drivers/block/block_request.h"

namespace exo::guest {

/// Gathers requests before they go to the device, sorts them by sector and joins neighbours into one.
///
/// What must not pass each other does not: a request never moves past a barrier or a flush, nor past one that
/// it overlaps where either writes. When a joined request fails, its parts go to the device one by one, so an
/// error hits only whom it belongs to. Nothing is allocated; one thread at a time uses it.
class BatchStage {
  public:
    static constexpr std::size_t capacity = 32;

    explicit BatchStage(const DiskInfo& info) : info_(&info) {}

    /// Takes a request that fits the disk (`check_request`). False when it holds `capacity` already.
    bool add(BlockRequest& request);
    /// Requests that no call of `handed_over` has covered yet.
    std::size_t waiting() const { return waiting_count_ + ready_count_; }
    /// Whether joined requests are out, which `collect` has to look at.
    bool has_joined() const { return groups_in_use_ > 0; }

    /// All that waits, in the order in which to submit it.
    std::span<BlockRequest* const> arrange();
    /// The queue has taken that many from the front of what `arrange` gave.
    void handed_over(std::size_t count);

    /// Ends the requests whose joined request has ended, and says how many. Those of one that failed wait
    /// again, each by itself.
    std::size_t collect();

  private:
    static constexpr std::size_t most_segments = 32;
    static constexpr std::size_t group_count = capacity / 2;  ///< two requests at least in each

    struct Waiting {
        BlockRequest* request = nullptr;
        std::uint64_t sectors = 0;
        std::uint32_t epoch = 0;  ///< no request passes from one to another
        bool alone = false;       ///< not to be joined again
    };

    /// Several requests that travel as one.
    struct Group {
        BlockRequest joined;
        std::array<BlockRequest*, capacity> parts{};
        std::size_t part_count = 0;
        std::array<DmaSpan, most_segments> segments{};
        std::size_t segment_count = 0;
        std::uint64_t sectors = 0;
        bool in_use = false;

        bool takes(const Waiting& next, const DiskInfo& info) const;
        void add(const Waiting& next);
        void end_parts(BlockStatus status);
    };

    std::uint32_t epoch_for(const BlockRequest& request, std::uint64_t sectors) const;
    void insert(BlockRequest& request, bool alone);
    void sort();
    std::size_t emit(std::size_t from);
    Group* free_group();

    const DiskInfo* info_;
    std::array<Waiting, capacity> waiting_{};
    std::size_t waiting_count_ = 0;
    std::array<BlockRequest*, capacity> ready_{};
    std::size_t ready_count_ = 0;
    std::array<Group, group_count> groups_;
    std::size_t groups_in_use_ = 0;
};

}  // namespace exo::guest
