#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <new>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "guest/ipc/channel_policy.h"
#include "guest/ipc/payload.h"
#include "guest/ipc/poll_budget.h"
#include "guest/ipc/ring_waiters.h"

namespace exo::guest {

/// A channel whose messages lie in a fusion ring. Both sides share it; the last end that leaves destroys it.
/// Positions and the like are the ends' own.
///
/// Where a side has many ends, a wake-up can go to one that finds less, or more, than it takes: another one
/// was faster, or several slots came free at once. So whoever took something while others wait looks whether
/// there is more, and passes the wake-up on. `tests/unit/ipc_model` goes through all interleavings of this
/// file.
template <class MessageType, class PolicyType, class Platform>
class FusionChannel {
  public:
    using Atomics = typename Platform::Atomics;
    using Message = MessageType;
    using Policy = PolicyType;
    using Ring = typename Policy::template Ring<Atomics>;
    using Sent = typename Payload<Message>::Sent;
    using Entry = SleeperEntry<Platform>;
    using Waiter = Sleeper<Platform>;

    static constexpr const char* name = "fusion";
    static constexpr std::uint32_t most_capacity = fusion::max_capacity;

    struct SendEnd {
        typename Ring::Producer producer;
        [[no_unique_address]] Payload<Message> payload;
        PollBudget polls;
    };
    struct ReceiveEnd {
        typename Ring::Consumer consumer;
        [[no_unique_address]] Payload<Message> payload;
        PollBudget polls;
    };

    /// A channel of so many messages, which is at least 2 and is rounded up to a power of two. nullptr when
    /// there is no memory. It has one end on each side.
    static FusionChannel* create(std::uint32_t capacity, const Payload<Message>& payload) {
        capacity = std::bit_ceil(capacity < fusion::min_capacity ? fusion::min_capacity : capacity);
        const std::size_t size = fusion::ring_bytes(capacity);
        PageMemory::Pointer memory = PageMemory::allocate(size);
        if (memory == nullptr) return nullptr;
        const auto ring = Ring::format({memory.get(), size}, capacity);
        return new (std::nothrow) FusionChannel(*ring, payload, std::move(memory));
    }

    FusionChannel(const Ring& ring, const Payload<Message>& payload, PageMemory::Pointer memory = {})
        : memory_(std::move(memory)),
          ring_(ring),
          payload_(payload),
          messages_(ring.header().consumer_wake, ring.header().producer.published),
          room_(ring.header().producer_wake, ring.header().consumer.released) {}
    FusionChannel(const FusionChannel&) = delete;
    FusionChannel& operator=(const FusionChannel&) = delete;
    /// What nobody received goes back to where it came from.
    ~FusionChannel() {
        if (last_receiver_) drain(*last_receiver_);
    }

    std::uint32_t capacity() const { return ring_.capacity(); }

    SendEnd make_sender() const { return {typename Ring::Producer(ring_), payload_, {}}; }
    ReceiveEnd make_receiver() const { return {typename Ring::Consumer(ring_), payload_, {}}; }

    /// Errors: full when there was no room until the deadline; closed; those of the payload.
    std::expected<void, ChannelError> send(SendEnd& end, Sent message, std::uint64_t deadline_ns) {
        return repeat(
            room_, end, ChannelError::full, deadline_ns,
            [&] {
                return try_send(end,
                                [&] { return end.payload.send(end.producer, static_cast<Sent>(message)); });
            },
            [&] { return can_send(end); });
    }
    /// Sends at least one, and as many more as there is room for.
    std::expected<std::uint32_t, ChannelError> send_batch(SendEnd& end, std::span<const Message> messages,
                                                          std::uint64_t deadline_ns) {
        const auto attempt = [&]() -> std::expected<std::uint32_t, ChannelError> {
            const auto sent = end.producer.send_batch(messages);
            if (!sent) return std::unexpected(channel_error(sent.error()));
            return *sent;
        };
        return repeat(
            room_, end, ChannelError::full, deadline_ns, [&] { return try_send(end, attempt); },
            [&] { return can_send(end); });
    }

    /// Errors: empty when there was no message until the deadline; closed when all was received; broken.
    std::expected<Message, ChannelError> receive(ReceiveEnd& end, std::uint64_t deadline_ns) {
        return repeat(
            messages_, end, ChannelError::empty, deadline_ns,
            [&] { return try_receive(end, [&] { return end.payload.receive(end.consumer); }); },
            [&] { return can_receive(end); });
    }
    /// Takes at least one, and as many more as are there and `messages` has room for.
    std::expected<std::uint32_t, ChannelError> receive_batch(ReceiveEnd& end, std::span<Message> messages,
                                                             std::uint64_t deadline_ns) {
        const auto attempt = [&]() -> std::expected<std::uint32_t, ChannelError> {
            const auto taken = end.consumer.recv_batch(messages);
            if (!taken) return std::unexpected(channel_error(taken.error()));
            return *taken;
        };
        return repeat(
            messages_, end, ChannelError::empty, deadline_ns, [&] { return try_receive(end, attempt); },
            [&] { return can_receive(end); });
    }

    // For Select.
    bool can_send(SendEnd& end) const {
        return end.producer.has_room() || Atomics::load_acquire(receivers_) == 0;
    }
    bool can_receive(const ReceiveEnd& end) const {
        return end.consumer.has_messages() || Atomics::load_acquire(senders_) == 0;
    }
    bool enlist(SendEnd& end, Entry& entry) {
        return room_.enlist(entry, [&] { return can_send(end); });
    }
    bool enlist(ReceiveEnd& end, Entry& entry) {
        return messages_.enlist(entry, [&] { return can_receive(end); });
    }
    void delist(SendEnd&, Entry& entry) { room_.delist(entry); }
    void delist(ReceiveEnd&, Entry& entry) { messages_.delist(entry); }

    void sender_joined() { Atomics::fetch_add(senders_, 1U); }
    void receiver_joined() { Atomics::fetch_add(receivers_, 1U); }
    /// True when nobody has an end any more: the caller deletes the channel.
    bool sender_left(SendEnd&) {
        if (Atomics::fetch_add(senders_, ~0U) != 1) return false;
        messages_.wake_all();
        return side_left();
    }
    bool receiver_left(ReceiveEnd& end) {
        if (Atomics::fetch_add(receivers_, ~0U) != 1) return false;
        room_.wake_all();
        drain(end);
        last_receiver_.emplace(end);  // a sender may be about to publish one more
        return side_left();
    }

  private:
    template <class Attempt>
    auto try_send(SendEnd& end, Attempt attempt) -> decltype(attempt()) {
        if (Atomics::load_acquire(receivers_) == 0) return std::unexpected(ChannelError::closed);
        auto sent = attempt();
        if (!sent) return sent;
        if (end.producer.must_notify()) messages_.wake_one();
        if constexpr (Policy::many_senders)
            if (room_.any() && end.producer.has_room()) room_.wake_one();
        return sent;
    }

    template <class Attempt>
    auto try_receive(ReceiveEnd& end, Attempt attempt) -> decltype(attempt()) {
        auto received = attempt();
        if (!received && received.error() == ChannelError::empty && Atomics::load_acquire(senders_) == 0) {
            received = attempt();  // what was sent before the last sender left is here by now
            if (!received && received.error() == ChannelError::empty)
                return std::unexpected(ChannelError::closed);
        }
        if (!received) return received;
        if (end.consumer.must_notify()) room_.wake_one();
        if constexpr (Policy::many_receivers)
            if (messages_.any() && end.consumer.has_messages()) messages_.wake_one();
        return received;
    }

    /// Attempts, until it is over or the clock has reached the deadline.
    template <class End, class Attempt, class Ready>
    auto repeat(RingWaiters<Platform>& waiters, End& end, ChannelError again, std::uint64_t deadline_ns,
                Attempt attempt, Ready ready) -> decltype(attempt()) {
        for (;;) {
            auto result = attempt();
            if (result || result.error() != again || deadline_ns == no_wait ||
                !wait(waiters, end, deadline_ns, ready))
                return result;
        }
    }

    /// False when the deadline has passed and there is still nothing to try.
    template <class End, class Ready>
    [[gnu::noinline]] static bool wait(RingWaiters<Platform>& waiters, End& end, std::uint64_t deadline_ns,
                                       Ready ready) {
        if (Platform::may_poll() && end.polls.poll(ready, Platform::relax)) return true;
        Waiter self;
        Entry entry{&self, 1};
        if (!waiters.enlist(entry, ready)) return true;
        self.sleep(deadline_ns);
        waiters.delist(entry);
        // Who was woken has to try, even if it is too late: nobody else was woken for it.
        return self.woken_by() != Waiter::by_nobody || ready();
    }

    /// Only pages have to be given back.
    void drain(ReceiveEnd& end) {
        if constexpr (!std::is_trivially_destructible_v<Message>)
            while (end.payload.receive(end.consumer)) {
            }
    }

    bool side_left() { return Atomics::fetch_add(sides_, ~0U) == 1; }

    const PageMemory::Pointer memory_;
    const Ring ring_;
    [[no_unique_address]] const Payload<Message> payload_;
    // Read with each message, written hardly ever.
    alignas(64) std::uint32_t senders_ = 1;
    std::uint32_t receivers_ = 1;
    std::uint32_t sides_ = 2;
    alignas(64) RingWaiters<Platform> messages_;
    alignas(64) RingWaiters<Platform> room_;
    std::optional<ReceiveEnd> last_receiver_;
};

}  // namespace exo::guest
