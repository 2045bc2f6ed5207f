#pragma once

#include <cstdint>
#include <expected>
#include <new>
#include <span>
#include <utility>

#include "guest/ipc/bounded_deque.h"
#include "guest/ipc/channel_policy.h"
#include "guest/ipc/kernel_sleep.h"
#include "guest/ipc/payload.h"
#include "guest/ipc/sleeper.h"
#include "guest/sched/condition.h"
#include "guest/sched/mutex.h"

namespace exo::guest {

/// The classic channel: a deque, a mutex, two conditions. What FusionChannel is measured against, and what
/// takes its place when fusion rings are switched off. Operations and errors are FusionChannel's.
template <class MessageType, class PolicyType>
class ClassicChannel {
  public:
    using Message = MessageType;
    using Policy = PolicyType;
    using Sent = typename Payload<Message>::Sent;
    using Entry = SleeperEntry<KernelSleep>;
    using Waiter = Sleeper<KernelSleep>;

    static constexpr const char* name = "classic";
    static constexpr std::uint32_t most_capacity = fusion::max_capacity;

    struct SendEnd {
        [[no_unique_address]] Payload<Message> payload;
    };
    struct ReceiveEnd {};

    static ClassicChannel* create(std::uint32_t capacity, const Payload<Message>& payload) {
        auto* const channel = new (std::nothrow) ClassicChannel(payload);
        if (channel == nullptr || channel->messages_.reserve(capacity)) return channel;
        delete channel;
        return nullptr;
    }

    std::uint32_t capacity() const { return messages_.capacity(); }
    SendEnd make_sender() const { return {payload_}; }
    ReceiveEnd make_receiver() const { return {}; }

    std::expected<void, ChannelError> send(SendEnd& end, Sent message, std::uint64_t deadline_ns) {
        {
            const Locked guard(mutex_);
            if (const auto room = wait_for_room(deadline_ns); !room) return room;
            auto kept = end.payload.keep(static_cast<Sent>(message));
            if (!kept) return std::unexpected(kept.error());
            messages_.push_back(std::move(*kept));
            selecting_receivers_.wake_one();
        }
        not_empty_.notify_one();
        return {};
    }
    std::expected<std::uint32_t, ChannelError> send_batch(SendEnd& end, std::span<const Message> messages,
                                                          std::uint64_t deadline_ns) {
        std::uint32_t sent = 0;
        {
            const Locked guard(mutex_);
            if (const auto room = wait_for_room(deadline_ns); !room) return std::unexpected(room.error());
            for (; sent < messages.size() && !messages_.full(); ++sent) {
                messages_.push_back(*end.payload.keep(messages[sent]));
                selecting_receivers_.wake_one();
            }
        }
        notify(not_empty_, sent);
        return sent;
    }

    std::expected<Message, ChannelError> receive(ReceiveEnd&, std::uint64_t deadline_ns) {
        std::expected<Message, ChannelError> received = std::unexpected(ChannelError::empty);
        {
            const Locked guard(mutex_);
            if (const auto ready = wait_for_message(deadline_ns); !ready)
                return std::unexpected(ready.error());
            received = messages_.pop_front();
            selecting_senders_.wake_one();
        }
        not_full_.notify_one();
        return received;
    }
    std::expected<std::uint32_t, ChannelError> receive_batch(ReceiveEnd&, std::span<Message> messages,
                                                             std::uint64_t deadline_ns) {
        std::uint32_t taken = 0;
        {
            const Locked guard(mutex_);
            if (const auto ready = wait_for_message(deadline_ns); !ready)
                return std::unexpected(ready.error());
            for (; taken < messages.size() && !messages_.empty(); ++taken) {
                messages[taken] = messages_.pop_front();
                selecting_senders_.wake_one();
            }
        }
        notify(not_full_, taken);
        return taken;
    }

    bool can_send(SendEnd&) {
        const Locked guard(mutex_);
        return can_send();
    }
    bool can_receive(ReceiveEnd&) {
        const Locked guard(mutex_);
        return can_receive();
    }
    bool enlist(SendEnd&, Entry& entry) {
        const Locked guard(mutex_);
        if (can_send()) return false;
        selecting_senders_.append(entry);
        return true;
    }
    bool enlist(ReceiveEnd&, Entry& entry) {
        const Locked guard(mutex_);
        if (can_receive()) return false;
        selecting_receivers_.append(entry);
        return true;
    }
    void delist(SendEnd&, Entry& entry) {
        const Locked guard(mutex_);
        selecting_senders_.remove(entry);
    }
    void delist(ReceiveEnd&, Entry& entry) {
        const Locked guard(mutex_);
        selecting_receivers_.remove(entry);
    }

    void sender_joined() {
        fusion::NativeAtomics::fetch_add(ends_, 1U);
        const Locked guard(mutex_);
        ++senders_;
    }
    void receiver_joined() {
        fusion::NativeAtomics::fetch_add(ends_, 1U);
        const Locked guard(mutex_);
        ++receivers_;
    }
    bool sender_left(SendEnd&) {
        {
            const Locked guard(mutex_);
            if (--senders_ == 0) {
                while (selecting_receivers_.wake_one()) {
                }
                not_empty_.notify_all();
            }
        }
        return end_left();
    }
    bool receiver_left(ReceiveEnd&) {
        {
            const Locked guard(mutex_);
            if (--receivers_ == 0) {
                while (!messages_.empty()) static_cast<void>(messages_.pop_front());
                while (selecting_senders_.wake_one()) {
                }
                not_full_.notify_all();
            }
        }
        return end_left();
    }

  private:
    explicit ClassicChannel(const Payload<Message>& payload) : payload_(payload) {}

    std::expected<void, ChannelError> wait_for_room(std::uint64_t deadline_ns)
        EXO_THREAD_SAFETY(requires_capability(mutex_)) {
        while (receivers_ != 0 && messages_.full()) {
            if (deadline_ns == no_wait) return std::unexpected(ChannelError::full);
            if (!not_full_.wait(mutex_, deadline_ns)) deadline_ns = no_wait;  // looks once more
        }
        if (receivers_ == 0) return std::unexpected(ChannelError::closed);
        return {};
    }
    std::expected<void, ChannelError> wait_for_message(std::uint64_t deadline_ns)
        EXO_THREAD_SAFETY(requires_capability(mutex_)) {
        while (messages_.empty()) {
            if (senders_ == 0) return std::unexpected(ChannelError::closed);
            if (deadline_ns == no_wait) return std::unexpected(ChannelError::empty);
            if (!not_empty_.wait(mutex_, deadline_ns)) deadline_ns = no_wait;
        }
        return {};
    }

    bool can_send() const EXO_THREAD_SAFETY(requires_capability(mutex_)) {
        return receivers_ == 0 || !messages_.full();
    }
    bool can_receive() const EXO_THREAD_SAFETY(requires_capability(mutex_)) {
        return senders_ == 0 || !messages_.empty();
    }

    static void notify(Condition& condition, std::uint32_t count) {
        if (count == 1) return condition.notify_one();
        condition.notify_all();
    }

    /// Whether it was the last of either kind, and the caller destroys the channel. Each end says so only
    /// when it is done with the mutex: unlock() still touches it after another thread may have taken it.
    bool end_left() { return fusion::NativeAtomics::fetch_add(ends_, ~0U) == 1; }

    [[no_unique_address]] const Payload<Message> payload_;
    Mutex mutex_;
    Condition not_empty_;
    Condition not_full_;
    BoundedDeque<Message> messages_;
    SleeperList<KernelSleep> selecting_receivers_;
    SleeperList<KernelSleep> selecting_senders_;
    std::uint32_t senders_ EXO_THREAD_SAFETY(guarded_by(mutex_)) = 1;
    std::uint32_t receivers_ EXO_THREAD_SAFETY(guarded_by(mutex_)) = 1;
    std::uint32_t ends_ = 2;
};

}  // namespace exo::guest
