#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "guest/sched/policy/thread_list.h"

namespace exo::guest {

/// The ready threads of one class. A calendar of 64 buckets by expected burst, four to an octave from 8 µs to
/// 450 ms, with a bitmap of those in use, where a heap or a tree would order threads more finely than a
/// prediction is ever good for: insertion and removal, from the middle too, are O(1) without rebalancing, and
/// picking looks at one thread a bucket in use, however many threads wait. In a bucket the order is first in,
/// first out, so that equals take turns. A second list keeps all of them by the time they have waited, for
/// ageing and stealing.
class ReadyQueue {
  public:
    static constexpr std::uint8_t bucket_count = 64;
    static constexpr std::uint8_t last_bucket = bucket_count - 1;

    /// Which bucket a span of time belongs to.
    static constexpr std::uint8_t bucket_of(Nanoseconds time) {
        if (time < (Nanoseconds{1} << first_bits)) return 0;
        const auto octave = static_cast<unsigned>(std::bit_width(time)) - 1;
        const auto quarter = static_cast<unsigned>(time >> (octave - 2)) & 3U;
        return static_cast<std::uint8_t>(
            std::min<unsigned>((octave - first_bits) * 4 + quarter + 1, last_bucket));
    }

    /// By a factor of about six: to let it go first costs the other one next to nothing.
    static constexpr bool is_far_shorter(std::uint8_t bucket, std::uint8_t than) {
        return bucket + 10 <= than;
    }

    bool empty() const { return used_ == 0; }
    /// The first bucket in use; of a queue that is not empty.
    std::uint8_t first_bucket() const { return static_cast<std::uint8_t>(std::countr_zero(used_)); }
    /// Whose turn it is: the smallest `turn` among the first of every bucket, unless one that is far shorter
    /// waits. Null when nobody does.
    ScheduledThread* next() const {
        ScheduledThread* best = nullptr;
        for (std::uint64_t left = used_; left != 0; left &= left - 1) {
            ScheduledThread* const thread =
                buckets_[static_cast<std::size_t>(std::countr_zero(left))].first();
            if (best == nullptr || thread->turn < best->turn) best = thread;
        }
        if (best == nullptr || !is_far_shorter(first_bucket(), best->bucket)) return best;
        return buckets_[first_bucket()].first();
    }
    ScheduledThread* oldest() const { return by_age_.first(); }

    /// `first`: before its equals, for one that was pre-empted in its turn.
    void insert(ScheduledThread& thread, std::uint8_t bucket, bool first) {
        // By age they stay sorted: what comes from another CPU is at least as young as the last one here.
        if (const ScheduledThread* const last = by_age_.last())
            thread.ready_since = std::max(thread.ready_since, last->ready_since);
        thread.bucket = bucket;
        by_age_.append(thread);
        first ? buckets_[bucket].prepend(thread) : buckets_[bucket].append(thread);
        used_ |= bit(bucket);
    }

    void remove(ScheduledThread& thread) {
        by_age_.remove(thread);
        buckets_[thread.bucket].remove(thread);
        if (buckets_[thread.bucket].empty()) used_ &= ~bit(thread.bucket);
    }

  private:
    static constexpr unsigned first_bits = 13;
    static constexpr std::uint64_t bit(std::uint8_t bucket) { return std::uint64_t{1} << bucket; }

    std::uint64_t used_ = 0;
    ThreadList<&ScheduledThread::by_age> by_age_;
    std::array<ThreadList<&ScheduledThread::in_bucket>, bucket_count> buckets_;
};

}  // namespace exo::guest
