// The receiving end of a ring with many consumers, all of which trust its producers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <utility>

#include "shared/fusion/error.h"
#include "shared/fusion/message.h"
#include "shared/fusion/placement.h"
#include "shared/fusion/producer_claim.h"
#include "shared/fusion/slot_access.h"
#include "shared/fusion/wake.h"

namespace exo::fusion {

/// One thread at a time uses a consumer object; there may be several objects on a ring. Published slots
/// become a consumer's own by one compare-and-exchange on the shared claim word; it then copies and releases
/// them in its own time.
template <class Atomics = NativeAtomics>
class ManyConsumer {
  public:
    static constexpr Sharing sharing = Sharing::many;

    explicit ManyConsumer(const Placement<Atomics>& ring) : ring_(ring) {}

    std::uint32_t capacity() const { return ring_.capacity(); }

    /// Takes the next message, of any kind.
    std::expected<Message, ReceiveError> recv() {
        const Run run = claim(1);
        if (run.count == 0) return std::unexpected(ReceiveError::empty);
        const SlotHeader header = SlotAccess<Atomics>::load_header(ring_.slot(run.position));
        std::expected<Message, ReceiveError> message(std::in_place, header);
        take(run.position, is_well_formed(header), message->payload, payload_size);
        if (!is_well_formed(header)) message = std::unexpected(ReceiveError::malformed);
        return message;
    }

    /// Takes the next message, which must be inline data of exactly T's size; another one is dropped as
    /// malformed.
    template <InlinePayload T>
    std::expected<void, ReceiveError> recv(T& value) {
        const Run run = claim(1);
        if (run.count == 0) return std::unexpected(ReceiveError::empty);
        const SlotHeader header = SlotAccess<Atomics>::load_header(ring_.slot(run.position));
        take(run.position, holds_one<T>(header), reinterpret_cast<std::byte*>(&value), sizeof(T));
        if (!holds_one<T>(header)) return std::unexpected(ReceiveError::malformed);
        return {};
    }

    /// Takes as many messages as there are, at most `values.size()`, with one claim. Those that are not
    /// inline data of T's size are dropped; if that leaves none, the error is malformed.
    template <InlinePayload T, std::size_t extent>
    std::expected<std::uint32_t, ReceiveError> recv_batch(std::span<T, extent> values) {
        if (values.empty()) return 0;
        const Run run =
            claim(values.size() < capacity() ? static_cast<std::uint32_t>(values.size()) : capacity());
        if (run.count == 0) return std::unexpected(ReceiveError::empty);
        std::uint32_t taken = 0;
        for (std::uint32_t i = 0; i < run.count; ++i) {
            const bool wanted = holds_one<T>(SlotAccess<Atomics>::load_header(ring_.slot(run.position + i)));
            take(run.position + i, wanted, reinterpret_cast<std::byte*>(&values[taken]), sizeof(T));
            taken += wanted;
        }
        if (taken == 0) return std::unexpected(ReceiveError::malformed);
        return taken;
    }

    /// Whether the next message is there; another consumer may take it first.
    bool has_messages() const {
        const std::uint64_t& claimed = ring_.header().consumer.claimed;
        std::uint64_t expected = Atomics::load_acquire(claimed);
        for (;;) {
            if (count_published(static_cast<std::uint32_t>(expected), 1) != 0) return true;
            const std::uint64_t now = Atomics::load_acquire(claimed);
            if (now == expected) return false;
            expected = now;
        }
    }

    /// As SingleConsumer's.
    bool must_notify() {
        RingHeader& header = ring_.header();
        return add_and_check<Atomics>(header.consumer.released, std::exchange(unreported_, 0),
                                      header.producer_wake);
    }

  private:
    Run claim(std::uint32_t wanted) {
        std::uint64_t& claimed = ring_.header().consumer.claimed;
        std::uint64_t expected = Atomics::load_acquire(claimed);
        for (;;) {
            const auto position = static_cast<std::uint32_t>(expected);
            const std::uint32_t count = count_published(position, wanted);
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

    std::uint32_t count_published(std::uint32_t position, std::uint32_t wanted) const {
        std::uint32_t count = 0;
        while (count < wanted &&
               SlotAccess<Atomics>::is_published(ring_.slot(position + count), position + count))
            ++count;
        return count;
    }

    /// Copies the payload if it is wanted, and gives the slot back either way.
    void take(std::uint32_t position, bool wanted, std::byte* to, std::size_t length) {
        Slot& slot = ring_.slot(position);
        if (wanted) SlotAccess<Atomics>::copy_payload(to, slot, length);
        SlotAccess<Atomics>::release(slot, position, ring_.capacity());
    }

    Placement<Atomics> ring_;
    std::uint32_t unreported_ = 0;  // slots released since the progress word was last added to
};

}  // namespace exo::fusion
