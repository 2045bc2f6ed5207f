// The receiving end of a ring with one consumer. It believes nothing: sequence, kind and length come from one
// atomic load, the payload is copied once, and nothing of the slot is read after its release.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <utility>

#include "shared/fusion/error.h"
#include "shared/fusion/message.h"
#include "shared/fusion/placement.h"
#include "shared/fusion/slot_access.h"
#include "shared/fusion/wake.h"

namespace exo::fusion {

/// One thread at a time uses a consumer. Its position is private: the other side sees only released slots.
template <class Atomics = NativeAtomics>
class SingleConsumer {
  public:
    static constexpr Sharing sharing = Sharing::one;

    explicit SingleConsumer(const Placement<Atomics>& ring)
        : ring_(ring), position_(ring.shape().first_position), reported_(position_) {}

    /// The consumer of a ring whose former consumer stopped at `position`.
    static SingleConsumer take_over(const Placement<Atomics>& ring, std::uint32_t position) {
        SingleConsumer consumer(ring);
        consumer.position_ = position;
        consumer.reported_ = position;
        return consumer;
    }

    /// The position of the next message; wraps at 2^32.
    std::uint32_t position() const { return position_; }
    std::uint32_t capacity() const { return ring_.capacity(); }

    /// Takes the next message, of any kind.
    std::expected<Message, ReceiveError> recv() {
        Cursor cursor{ring_, position_};
        const SlotHeader header = cursor.load_header();
        if (!cursor.is_message(header)) return std::unexpected(why_nothing(header));
        if (!is_well_formed(header)) return std::unexpected(drop());
        std::expected<Message, ReceiveError> message(std::in_place, header);
        cursor.take(message->payload, payload_size);
        position_ = cursor.position;
        return message;
    }

    /// Takes the next message, which must be inline data of exactly T's size; another one is dropped as
    /// malformed.
    template <InlinePayload T>
    std::expected<void, ReceiveError> recv(T& value) {
        Cursor cursor{ring_, position_};
        const SlotHeader header = cursor.load_header();
        if (!holds_one_at<T>(cursor.position, header)) return std::unexpected(why_refused(header));
        cursor.take(reinterpret_cast<std::byte*>(&value), sizeof(T));
        position_ = cursor.position;
        return {};
    }

    /// Takes as many messages as there are, at most `values.size()`; they must be inline data of T's size.
    /// Stops in front of one that is not, which the next call then drops. Returns how many were taken, at
    /// least one unless `values` is empty.
    template <InlinePayload T, std::size_t extent>
    std::expected<std::uint32_t, ReceiveError> recv_batch(std::span<T, extent> values) {
        Cursor cursor{ring_, position_};
        for (T& value : values) {
            const SlotHeader header = cursor.load_header();
            if (!holds_one_at<T>(cursor.position, header)) break;
            cursor.take(reinterpret_cast<std::byte*>(&value), sizeof(T));
        }
        const std::uint32_t count = cursor.position - std::exchange(position_, cursor.position);
        if (count == 0 && !values.empty()) return std::unexpected(why_stopped(holds_one<T>));
        return count;
    }

    /// The same for packed slots: takes whole slots as long as all their records fit into what is left of
    /// `values`, which must have room for one full slot. Returns how many values were taken.
    template <PackedRecord T, std::size_t extent>
    std::expected<std::uint32_t, ReceiveError> recv_packed(std::span<T, extent> values) {
        std::uint32_t count = 0;
        Cursor cursor{ring_, position_};
        while (values.size() - count >= records_per_slot<T>) {
            const SlotHeader header = cursor.load_header();
            if (!cursor.is_message(header) || !holds_packed<T>(header)) break;
            // All of the payload is copied, because a constant size is cheaper than an exact one.
            cursor.take(reinterpret_cast<std::byte*>(&values[count]), records_per_slot<T> * sizeof(T));
            count += header.length / std::uint32_t{sizeof(T)};
        }
        position_ = cursor.position;
        if (count == 0 && values.size() >= records_per_slot<T>)
            return std::unexpected(why_stopped(holds_packed<T>));
        return count;
    }

    /// Whether the next `count` messages are there (at most the capacity); nothing is taken.
    bool has_messages(std::uint32_t count = 1) const {
        const std::uint32_t last = position_ + count - 1;
        return SlotAccess<Atomics>::is_published(ring_.slot(last), last);
    }

    /// To be called after one or several receives, if the producer ever sleeps: tells whether it must be
    /// notified now.
    bool must_notify() {
        RingHeader& header = ring_.header();
        const std::uint32_t before = std::exchange(reported_, position_);
        return advance_and_check<Atomics>(header.consumer.released, before, position_, header.producer_wake);
    }

    /// To be called before this side sleeps until `messages` more are there. Returns false if they are there
    /// by now: do not sleep.
    bool prepare_sleep(std::uint32_t messages = 1) {
        return waiter().prepare(position_ + messages - 1, ring_.shape().producers,
                                [&] { return has_messages(messages); });
    }
    /// The same where the producer may notify sooner, by a rule of the protocol that the ring carries.
    /// Returns false if there is any message: all that are there must be taken first, since the producer may
    /// have published them while this side did not sleep, and then owes no notification for them.
    bool prepare_sleep_at_most(std::uint32_t messages) {
        return waiter().prepare(position_ + messages - 1, ring_.shape().producers,
                                [&] { return has_messages(); });
    }
    /// After the sleep that either allowed, however it ended.
    void finish_sleep() { waiter().wake(); }

  private:
    /// What a receive works with: copies, because a payload's bytes may alias any member, which would then be
    /// loaded again for each slot.
    struct Cursor {
        const Placement<Atomics> ring;
        std::uint32_t position;

        SlotHeader load_header() const { return SlotAccess<Atomics>::load_header(ring.slot(position)); }
        bool is_message(const SlotHeader& header) const { return header.sequence == position + 1; }
        void take(std::byte* to, std::size_t length) {
            Slot& slot = ring.slot(position);
            SlotAccess<Atomics>::copy_payload(to, slot, length);
            SlotAccess<Atomics>::release(slot, position, ring.capacity());
            ++position;
        }
    };

    /// A free slot has the sequence of its position; the protocol writes nothing else but position + 1.
    [[gnu::noinline]] ReceiveError why_nothing(SlotHeader header) const {
        return header.sequence == position_ ? ReceiveError::empty : ReceiveError::corrupt;
    }

    [[gnu::noinline]] ReceiveError why_refused(SlotHeader header) {
        return header.sequence == position_ + 1 ? drop() : why_nothing(header);
    }

    /// Why a batch took nothing. The slot may have been published a moment ago: that still counts as empty.
    template <class Accepts>
    [[gnu::noinline]] ReceiveError why_stopped(Accepts accepts) {
        const Cursor cursor{ring_, position_};
        const SlotHeader header = cursor.load_header();
        if (!cursor.is_message(header)) return why_nothing(header);
        return accepts(header) ? ReceiveError::empty : drop();
    }

    [[gnu::noinline]] ReceiveError drop() {
        SlotAccess<Atomics>::release(ring_.slot(position_), position_, ring_.capacity());
        ++position_;
        return ReceiveError::malformed;
    }

    Waiter<Atomics> waiter() { return {ring_.header().consumer_wake, ring_.header().producer.published}; }

    Placement<Atomics> ring_;
    std::uint32_t position_;
    std::uint32_t reported_;  // the last value given to the progress word
};

}  // namespace exo::fusion
