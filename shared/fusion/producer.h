// The sending end of a ring with one producer.
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

/// One thread at a time uses a producer. Its position is private: the other side sees only slots.
template <class Atomics = NativeAtomics>
class SingleProducer {
  public:
    explicit SingleProducer(const Placement<Atomics>& ring)
        : ring_(ring), position_(ring.shape().first_position) {
        checked_ = position_;
    }

    /// The position of the next message; wraps at 2^32.
    std::uint32_t position() const { return position_; }
    std::uint32_t capacity() const { return ring_.capacity(); }

    /// Sends up to 56 bytes, copied into the slot.
    std::expected<void, SendError> send_inline(std::span<const std::byte> bytes, std::uint8_t flags = 0,
                                               Kind kind = Kind::inline_data) {
        if (bytes.size() > payload_size) return std::unexpected(SendError::too_large);
        if (free_slots(1) == 0) return std::unexpected(SendError::full);
        write_payload(position_, bytes.data(), bytes.size());
        publish(position_, kind, flags, bytes.size());
        ++position_;
        return {};
    }

    /// The same for one value of a fixed size, which saves all the branches of the copy.
    template <InlinePayload T>
    std::expected<void, SendError> send(const T& value, std::uint8_t flags = 0,
                                        Kind kind = Kind::inline_data) {
        if (free_slots(1) == 0) return std::unexpected(SendError::full);
        write_payload(position_, reinterpret_cast<const std::byte*>(&value), sizeof(T));
        publish(position_, kind, flags, sizeof(T));
        ++position_;
        return {};
    }

    /// Sends as many of the values as there are free slots, each in a slot of its own, with one publication:
    /// the first slot is published last, so a consumer takes the whole batch or, until then, nothing of it.
    /// Returns how many were sent, at least one unless `values` is empty.
    template <InlinePayload T>
    std::expected<std::uint32_t, SendError> send_batch(std::span<const T> values, std::uint8_t flags = 0,
                                                       Kind kind = Kind::inline_data) {
        if (values.empty()) return 0;
        const std::uint32_t count = free_slots(clamp_to_capacity(values.size()));
        if (count == 0) return std::unexpected(SendError::full);
        const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
        for (std::uint32_t i = 1; i < count; ++i) {
            write_payload(position_ + i, bytes + i * sizeof(T), sizeof(T));
            publish(position_ + i, kind, flags, sizeof(T));
        }
        write_payload(position_, bytes, sizeof(T));
        publish(position_, kind, flags, sizeof(T));
        position_ += count;
        return count;
    }

    /// How many of the next `wanted` slots are free (0 … wanted). A slot found free stays free.
    std::uint32_t free_slots(std::uint32_t wanted) {
        const std::uint32_t known = checked_ - position_;
        return known >= wanted ? wanted : look_for_free_slots(wanted);
    }

    /// To be called after sending `count` messages, if the consumer ever sleeps: tells whether it must be
    /// notified now. Calls may be put together: one after several sends, with their sum.
    bool must_notify(std::uint32_t count) {
        RingHeader& header = ring_.header();
        return advance_and_check<Atomics>(header.producer.published, position_, count, header.consumer_wake);
    }

    /// To be called before this side sleeps for want of `slots` free slots. Returns false if they are free by
    /// now: do not sleep.
    bool prepare_sleep(std::uint32_t slots = 1) {
        const std::uint32_t notify_at = position_ + slots - 1;
        waiter().announce(notify_at);
        if (free_slots(slots) == slots) {
            waiter().wake();
            return false;
        }
        waiter().sleep(notify_at);
        return true;
    }
    /// After the sleep that prepare_sleep() allowed, however it ended.
    void finish_sleep() { waiter().wake(); }

  private:
    std::uint32_t clamp_to_capacity(std::size_t count) const {
        return count < capacity() ? static_cast<std::uint32_t>(count) : capacity();
    }

    bool is_free(std::uint32_t position) const {
        return SlotHeader::from_word(Atomics::load_acquire(ring_.slot(position).header)).sequence == position;
    }

    /// One consumer releases in order, so the last slot of the run tells of them all; bisect if it is taken.
    std::uint32_t look_for_free_slots(std::uint32_t wanted) {
        std::uint32_t free = checked_ - position_;
        std::uint32_t taken = wanted + 1;
        for (std::uint32_t probe = wanted; taken - free > 1; probe = free + (taken - free) / 2) {
            if (is_free(position_ + probe - 1)) {
                free = probe;
            } else {
                taken = probe;
            }
        }
        checked_ = position_ + free;
        return free;
    }

    void write_payload(std::uint32_t position, const std::byte* bytes, std::size_t size) {
        Atomics::copy_to_shared(ring_.slot(position).payload, bytes, size);
    }

    void publish(std::uint32_t position, Kind kind, std::uint8_t flags, std::size_t length) {
        const SlotHeader header{position + 1, kind, flags, static_cast<std::uint16_t>(length)};
        Atomics::store_release(ring_.slot(position).header, header.to_word());
    }

    Waiter<Atomics> waiter() { return {ring_.header().producer_wake, ring_.header().consumer.released}; }

    Placement<Atomics> ring_;
    std::uint32_t position_;
    std::uint32_t checked_;  // slots before this position are known to be free
};

}  // namespace exo::fusion
