// The sending end of a ring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <type_traits>

#include "shared/fusion/error.h"
#include "shared/fusion/message.h"
#include "shared/fusion/placement.h"
#include "shared/fusion/producer_claim.h"
#include "shared/fusion/slot_access.h"
#include "shared/fusion/wake.h"

namespace exo::fusion {

/// One thread at a time uses a producer object; with ManyProducerClaim there may be several objects on a
/// ring.
template <template <class> class Claim, class Atomics = NativeAtomics>
class BasicProducer {
  public:
    static constexpr Sharing sharing = Claim<Atomics>::sharing;

    explicit BasicProducer(const Placement<Atomics>& ring) : ring_(ring), claim_(ring) {}

    /// The producer of a ring whose former producer died, even in the middle of a send. Everything that was
    /// published stays; what was not is taken back. Only when it is certain that the former one writes no
    /// more.
    static BasicProducer take_over(const Placement<Atomics>& ring)
        requires(sharing == Sharing::one)
    {
        BasicProducer producer(ring);
        producer.claim_ = Claim<Atomics>::take_over(ring);
        return producer;
    }

    std::uint32_t capacity() const { return ring_.capacity(); }

    /// The position of the next message; wraps at 2^32.
    std::uint32_t position() const
        requires(sharing == Sharing::one)
    {
        return claim_.position();
    }

    /// How many of the next `wanted` slots (at most the capacity) are free: 0 … wanted.
    std::uint32_t free_slots(std::uint32_t wanted)
        requires(sharing == Sharing::one)
    {
        return claim_.count_free(ring_, wanted);
    }

    /// Whether the next slot is free; another producer may take it first.
    bool has_room() { return claim_.has_room(ring_); }

    /// Sends up to 56 bytes, copied into the slot.
    std::expected<void, SendError> send_inline(std::span<const std::byte> bytes, std::uint8_t flags = 0,
                                               Kind kind = Kind::inline_data) {
        if (bytes.size() > payload_size) return std::unexpected(SendError::too_large);
        return send_bytes(bytes.data(), bytes.size(), flags, kind);
    }

    /// The same for a value, whose fixed size saves the branches of the copy.
    template <InlinePayload T>
    std::expected<void, SendError> send(const T& value, std::uint8_t flags = 0,
                                        Kind kind = Kind::inline_data) {
        return send_bytes(reinterpret_cast<const std::byte*>(&value), sizeof(T), flags, kind);
    }

    /// Sends as many of the values as there are free slots, each in a slot of its own, with one publication:
    /// the first slot is published last, so one consumer takes the whole batch or, until then, nothing of it.
    /// Returns how many were sent, at least one unless `values` is empty.
    template <class T, std::size_t extent>
        requires InlinePayload<std::remove_const_t<T>>
    std::expected<std::uint32_t, SendError> send_batch(std::span<T, extent> values, std::uint8_t flags = 0) {
        return send_run(values.size(), [&](Slot& slot, std::uint32_t position, std::uint32_t index) {
            SlotAccess<Atomics>::publish(slot, position, Kind::inline_data, flags,
                                         bytes_of(values.data(), index), sizeof(T));
            return 1U;
        });
    }

    /// The same with as many small values in each slot as fit. Returns how many values were sent.
    template <class T, std::size_t extent>
        requires PackedRecord<std::remove_const_t<T>>
    std::expected<std::uint32_t, SendError> send_packed(std::span<T, extent> values) {
        constexpr std::uint32_t per_slot = records_per_slot<std::remove_const_t<T>>;
        const std::size_t slots = (values.size() + per_slot - 1) / per_slot;
        return send_run(slots, [&](Slot& slot, std::uint32_t position, std::uint32_t index) {
            const std::size_t left = values.size() - std::size_t{index} * per_slot;
            const auto records = static_cast<std::uint32_t>(left < per_slot ? left : per_slot);
            const std::byte* bytes = bytes_of(values.data(), std::size_t{index} * per_slot);
            if (records == per_slot) {  // told apart so that the usual copy has a constant size
                SlotAccess<Atomics>::publish(slot, position, Kind::packed, sizeof(T), bytes,
                                             per_slot * sizeof(T));
            } else {
                SlotAccess<Atomics>::publish(slot, position, Kind::packed, sizeof(T), bytes,
                                             records * sizeof(T));
            }
            return records;
        });
    }

    /// To be called after one or several sends, if the consumer ever sleeps: tells whether it must be
    /// notified now.
    bool must_notify() { return claim_.report(ring_.header()); }

    /// After must_notify(): whether the consumer sleeps, or is about to, whatever position it waits for. For
    /// protocols that notify sooner than it asked for.
    bool consumer_sleeps() const {
        const std::uint64_t word = Atomics::load_seq_cst(ring_.header().consumer_wake.word);
        return WakeWord::from_word(word).state != WaitState::polling;
    }
    /// Whether the consumer has taken all that was published.
    bool is_drained()
        requires(sharing == Sharing::one)
    {
        return free_slots(capacity()) == capacity();
    }

    /// To be called before this side sleeps for want of `slots` free slots (at most the capacity). Returns
    /// false if they are free by now: do not sleep.
    bool prepare_sleep(std::uint32_t slots = 1)
        requires(sharing == Sharing::one)
    {
        // A slot is free for a position when its message of the lap before is released.
        const std::uint32_t notify_at = position() + slots - 1 - capacity();
        return waiter().prepare(notify_at, ring_.shape().consumers,
                                [&] { return free_slots(slots) == slots; });
    }
    /// After the sleep that prepare_sleep() allowed, however it ended.
    void finish_sleep()
        requires(sharing == Sharing::one)
    {
        waiter().wake();
    }

  private:
    std::expected<void, SendError> send_bytes(const std::byte* bytes, std::size_t size, std::uint8_t flags,
                                              Kind kind) {
        const Run run = claim_.take(ring_, 1);
        if (run.count == 0) return std::unexpected(SendError::full);
        const Placement<Atomics> ring = ring_;  // a copy, because payload bytes may alias the member
        SlotAccess<Atomics>::publish(ring.slot(run.position), run.position, kind, flags, bytes, size);
        return {};
    }

    /// Claims up to `wanted` slots and has `publish` fill them, the first one last. Returns the sum of what
    /// it returned.
    template <class Publish>
    std::expected<std::uint32_t, SendError> send_run(std::size_t wanted, Publish publish) {
        if (wanted == 0) return 0;
        const Run run =
            claim_.take(ring_, wanted < capacity() ? static_cast<std::uint32_t>(wanted) : capacity());
        if (run.count == 0) return std::unexpected(SendError::full);
        const Placement<Atomics> ring = ring_;
        std::uint32_t sent = 0;
        for (std::uint32_t i = 1; i < run.count; ++i)
            sent += publish(ring.slot(run.position + i), run.position + i, i);
        return sent + publish(ring.slot(run.position), run.position, 0);
    }

    template <class T>
    static const std::byte* bytes_of(const T* values, std::size_t index) {
        return reinterpret_cast<const std::byte*>(values + index);
    }

    Waiter<Atomics> waiter() { return {ring_.header().producer_wake, ring_.header().consumer.released}; }

    Placement<Atomics> ring_;
    Claim<Atomics> claim_;
};

}  // namespace exo::fusion
