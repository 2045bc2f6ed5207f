// The receiving end of a ring with one consumer. It believes nothing: sequence, kind and length come from one
// atomic load, the payload is copied once, and nothing of the slot is read after its release.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "shared/fusion/error.h"
#include "shared/fusion/message.h"
#include "shared/fusion/placement.h"
#include "shared/fusion/wake.h"

namespace exo::fusion {

/// One thread at a time uses a consumer. Its position is private: the other side sees only released slots.
template <class Atomics = NativeAtomics>
class SingleConsumer {
  public:
    explicit SingleConsumer(const Placement<Atomics>& ring)
        : ring_(ring), position_(ring.shape().first_position) {}

    /// The position of the next message; wraps at 2^32.
    std::uint32_t position() const { return position_; }
    std::uint32_t capacity() const { return ring_.capacity(); }

    /// Takes the next message, of any kind.
    std::expected<Message, ReceiveError> recv() {
        const SlotHeader header = load_header(position_);
        if (header.sequence != position_ + 1) return std::unexpected(why_nothing(header));
        if (!is_well_formed(header)) return std::unexpected(drop());
        std::expected<Message, ReceiveError> message(std::in_place);
        message->kind = header.kind;
        message->flags = header.flags;
        message->length = header.length;
        Atomics::copy_from_shared(message->payload, ring_.slot(position_).payload, payload_size);
        release();
        return message;
    }

    /// Takes the next message, which must be inline data of exactly T's size; another one is dropped as
    /// malformed.
    template <InlinePayload T>
    std::expected<void, ReceiveError> recv(T& value) {
        const SlotHeader header = load_header(position_);
        if (header.sequence != position_ + 1) return std::unexpected(why_nothing(header));
        if (!holds<T>(header)) return std::unexpected(drop());
        Atomics::copy_from_shared(reinterpret_cast<std::byte*>(&value), ring_.slot(position_).payload,
                                  sizeof(T));
        release();
        return {};
    }

    /// Takes as many messages as there are, at most `values.size()`; they must be inline data of T's size.
    /// Stops in front of one that is not, which the next call then drops. Returns how many were taken, at
    /// least one unless `values` is empty.
    template <InlinePayload T>
    std::expected<std::uint32_t, ReceiveError> recv_batch(std::span<T> values) {
        std::uint32_t count = 0;
        for (T& value : values) {
            const SlotHeader header = load_header(position_);
            if (header.sequence != position_ + 1 || !holds<T>(header)) break;
            Atomics::copy_from_shared(reinterpret_cast<std::byte*>(&value), ring_.slot(position_).payload,
                                      sizeof(T));
            release();
            ++count;
        }
        if (count == 0 && !values.empty()) return std::unexpected(recv_error<T>());
        return count;
    }

    /// Whether the next `count` messages are there (at most the capacity); nothing is taken.
    bool has_messages(std::uint32_t count = 1) const {
        return load_header(position_ + count - 1).sequence == position_ + count;
    }

    /// To be called after receiving `count` messages, if the producer ever sleeps: tells whether it must be
    /// notified now.
    bool must_notify(std::uint32_t count) {
        RingHeader& header = ring_.header();
        return advance_and_check<Atomics>(header.consumer.released, position_, count, header.producer_wake);
    }

    /// To be called before this side sleeps until `messages` more are there. Returns false if they are there
    /// by now: do not sleep.
    bool prepare_sleep(std::uint32_t messages = 1) {
        const std::uint32_t notify_at = position_ + messages - 1;
        waiter().announce(notify_at);
        if (has_messages(messages)) {
            waiter().wake();
            return false;
        }
        waiter().sleep(notify_at);
        return true;
    }
    /// After the sleep that prepare_sleep() allowed, however it ended.
    void finish_sleep() { waiter().wake(); }

  private:
    SlotHeader load_header(std::uint32_t position) const {
        return SlotHeader::from_word(Atomics::load_acquire(ring_.slot(position).header));
    }

    static bool is_well_formed(const SlotHeader& header) {
        return header.length <= payload_size && header.kind >= Kind::inline_data &&
               header.kind <= Kind::control;
    }
    template <class T>
    static bool holds(const SlotHeader& header) {
        return header.kind == Kind::inline_data && header.length == sizeof(T);
    }

    /// A free slot has the sequence of its position; a producer of this protocol writes nothing else but
    /// position + 1.
    ReceiveError why_nothing(const SlotHeader& header) const {
        return header.sequence == position_ ? ReceiveError::empty : ReceiveError::corrupt;
    }
    template <class T>
    ReceiveError recv_error() {
        const SlotHeader header = load_header(position_);
        if (header.sequence != position_ + 1) return why_nothing(header);
        return holds<T>(header) ? ReceiveError::empty : drop();
    }

    ReceiveError drop() {
        release();
        return ReceiveError::malformed;
    }

    /// Gives the slot back. Written for each slot: this store also brings the line to this CPU for good, so
    /// that the producer's next write of it takes one transfer. No load of the slot can move behind it.
    void release() {
        const SlotHeader header{position_ + ring_.capacity(), Kind::none, 0, 0};
        Atomics::store_release(ring_.slot(position_).header, header.to_word());
        ++position_;
    }

    Waiter<Atomics> waiter() { return {ring_.header().consumer_wake, ring_.header().producer.published}; }

    Placement<Atomics> ring_;
    std::uint32_t position_;
};

}  // namespace exo::fusion
