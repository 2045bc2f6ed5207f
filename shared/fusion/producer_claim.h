// How a producer comes by free slots: alone, or in competition with others.
#pragma once

#include <cstdint>
#include <utility>

#include "shared/fusion/placement.h"
#include "shared/fusion/slot_access.h"
#include "shared/fusion/wake.h"

namespace exo::fusion {

/// Slots that one party may now write, or read: `count` from `position` on, wrapping with the ring.
struct Run {
    std::uint32_t position;
    std::uint32_t count;
};

/// How many slots from `position` on are free, slot by slot, at most `most`.
template <class Atomics>
std::uint32_t count_free_run(const Placement<Atomics>& ring, std::uint32_t position, std::uint32_t most) {
    std::uint32_t count = 0;
    while (count < most && SlotAccess<Atomics>::is_free(ring.slot(position + count), position + count))
        ++count;
    return count;
}

/// The only producer: its position is private, and nothing is shared but the slots.
template <class Atomics>
class SingleProducerClaim {
  public:
    static constexpr Sharing sharing = Sharing::one;

    explicit SingleProducerClaim(const Placement<Atomics>& ring)
        : position_(ring.shape().first_position), free_until_(position_), reported_(position_) {}

    /// The claim of a producer that follows one that died, wherever that was. Whatever it had not published
    /// in whole is taken back: slots of a batch whose first slot was never published. The consumer may be at
    /// work meanwhile.
    static SingleProducerClaim take_over(const Placement<Atomics>& ring) {
        SingleProducerClaim claim(ring);
        claim.position_ = first_unpublished(ring);
        claim.free_until_ = claim.position_;
        claim.reported_ = Atomics::load_acquire(ring.header().producer.published);
        for (std::uint32_t i = 1; i < ring.capacity(); ++i) {
            const std::uint32_t position = claim.position_ + i;
            Slot& slot = ring.slot(position);
            if (SlotAccess<Atomics>::is_published(slot, position))
                SlotAccess<Atomics>::release(slot, position, 0);
        }
        return claim;
    }

    std::uint32_t position() const { return position_; }

    /// At most `wanted` slots, which is not above the capacity.
    Run take(const Placement<Atomics>& ring, std::uint32_t wanted) {
        const std::uint32_t position = position_;
        const std::uint32_t known = free_until_ - position;
        const Run run{position, known >= wanted ? wanted : look(ring, position, wanted)};
        position_ = position + run.count;
        return run;
    }

    /// How many of the next `wanted` slots are free.
    std::uint32_t count_free(const Placement<Atomics>& ring, std::uint32_t wanted) {
        return free_until_ - position_ >= wanted ? wanted : look(ring, position_, wanted);
    }

    bool has_room(const Placement<Atomics>& ring) { return count_free(ring, 1) != 0; }

    bool report(RingHeader& header) {
        const std::uint32_t before = std::exchange(reported_, position_);
        return advance_and_check<Atomics>(header.producer.published, before, position_, header.consumer_wake);
    }

  private:
    /// The first position, counted from any slot's, that a slot is or will next be free for.
    static std::uint32_t first_unpublished(const Placement<Atomics>& ring) {
        std::uint32_t first = next_free(ring, 0);
        for (std::uint32_t i = 1; i < ring.capacity(); ++i) {
            const std::uint32_t position = next_free(ring, i);
            if (position - first >= 1U << 31) first = position;  // below it, counted round the wrap
        }
        return first;
    }
    static std::uint32_t next_free(const Placement<Atomics>& ring, std::uint32_t index) {
        const std::uint32_t sequence = SlotAccess<Atomics>::load_header(ring.slot(index)).sequence;
        const bool published = ((sequence ^ index) & (ring.capacity() - 1)) != 0;
        return published ? sequence - 1 + ring.capacity() : sequence;
    }

    /// One consumer releases in order, so that one free slot tells of all those before it: most sends need no
    /// look at all. Many consumers release in any order.
    [[gnu::noinline]] std::uint32_t look(const Placement<Atomics>& ring, std::uint32_t position,
                                         std::uint32_t wanted) {
        if (ring.shape().consumers == Sharing::one) {
            std::uint32_t ahead = wanted > look_ahead ? wanted : look_ahead;
            if (ahead > ring.capacity()) ahead = ring.capacity();
            for (; ahead >= wanted; ahead /= 4) {
                const std::uint32_t last = position + ahead - 1;
                if (!SlotAccess<Atomics>::is_free(ring.slot(last), last)) continue;
                free_until_ = position + ahead;
                return wanted;
            }
        }
        const std::uint32_t count = count_free_run(ring, position, wanted);
        free_until_ = position + count;
        return count;
    }

    static constexpr std::uint32_t look_ahead = 256;

    std::uint32_t position_;
    std::uint32_t free_until_;  // the slots before this position are known to be free
    std::uint32_t reported_;    // the last value given to the progress word
};

/// One of many producers: a run of free slots becomes its own by one compare-and-exchange on the shared claim
/// word.
template <class Atomics>
class ManyProducerClaim {
  public:
    static constexpr Sharing sharing = Sharing::many;

    explicit ManyProducerClaim(const Placement<Atomics>&) {}

    Run take(const Placement<Atomics>& ring, std::uint32_t wanted) {
        std::uint64_t& claimed = ring.header().producer.claimed;
        std::uint64_t expected = Atomics::load_acquire(claimed);
        for (;;) {
            const auto position = static_cast<std::uint32_t>(expected);
            // A slot found free stays so until it is claimed, and then the exchange fails.
            const std::uint32_t count = count_free_run(ring, position, wanted);
            if (count == 0) {
                const std::uint64_t now = Atomics::load_acquire(claimed);
                if (now == expected) return {position, 0};
                expected = now;
            } else if (Atomics::compare_exchange(claimed, expected, expected + count)) {
                unreported_ += count;
                return {position, count};
            }
        }
    }

    bool has_room(const Placement<Atomics>& ring) const {
        const std::uint64_t& claimed = ring.header().producer.claimed;
        std::uint64_t expected = Atomics::load_acquire(claimed);
        for (;;) {
            if (count_free_run(ring, static_cast<std::uint32_t>(expected), 1) != 0) return true;
            const std::uint64_t now = Atomics::load_acquire(claimed);
            if (now == expected) return false;
            expected = now;
        }
    }

    bool report(RingHeader& header) {
        return add_and_check<Atomics>(header.producer.published, std::exchange(unreported_, 0),
                                      header.consumer_wake);
    }

  private:
    std::uint32_t unreported_ = 0;  // slots published since the progress word was last added to
};

}  // namespace exo::fusion
