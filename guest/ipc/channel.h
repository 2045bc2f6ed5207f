// Channels: messages between threads.
//
//     auto channel = Channel<Request>::create(64);           // one sender, one receiver, room for 64
//     if (!channel) …channel.error()…
//     scheduler.spawn({}, [sender = std::move(channel->sender)]() mutable { sender.send(request); });
//     while (auto request = channel->receiver.receive()) …   // until the sender is gone and all is received
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <utility>

#include "guest/ipc/channel_error.h"
#include "guest/ipc/channel_policy.h"
#include "guest/ipc/classic_channel.h"
#include "guest/ipc/fusion_channel.h"
#include "guest/ipc/kernel_sleep.h"
#include "guest/ipc/payload.h"
#include "guest/ipc/select.h"
#include "guest/kernel/error.h"

// The build says which one is used (CMake option EXO_FUSION_RINGS).
#ifndef EXO_FUSION_RINGS
#define EXO_FUSION_RINGS 1
#endif

namespace exo::guest {

/// What both kinds of ends do alike: they hold a channel until they leave it.
template <class Core, class End>
class ChannelEnd {
  public:
    ChannelEnd(Core* core, const End& end) : core_(core), end_(end) {}
    ChannelEnd(ChannelEnd&& other) noexcept : core_(std::exchange(other.core_, nullptr)), end_(other.end_) {}
    ChannelEnd& operator=(ChannelEnd&&) = delete;

    /// False after close(), and where it was moved from.
    bool is_open() const { return core_ != nullptr; }
    /// Messages that the channel holds at most.
    std::uint32_t capacity() const { return core_->capacity(); }

  protected:
    ~ChannelEnd() = default;

    /// An error that tells of no wait, as one of a wait that was too long.
    template <class T>
    static std::expected<T, ChannelError> after_wait(std::expected<T, ChannelError> result) {
        if (!result && (result.error() == ChannelError::full || result.error() == ChannelError::empty))
            return std::unexpected(ChannelError::timed_out);
        return result;
    }

    Core* core_;
    End end_;
};

/// The sending end. One thread at a time uses it. Its end, or close(), closes the channel when it was the
/// last of its kind: receivers get what was sent, then `closed`. All deadlines are of the kernel's clock, in
/// nanoseconds.
template <class Core>
class BasicSender final : public Selectable<KernelSleep>, public ChannelEnd<Core, typename Core::SendEnd> {
    using Base = ChannelEnd<Core, typename Core::SendEnd>;
    using Base::core_;
    using Base::end_;

  public:
    using Message = typename Core::Message;
    using Sent = typename Core::Sent;
    using Result = std::expected<void, ChannelError>;

    using Base::Base;
    BasicSender(BasicSender&&) noexcept = default;
    BasicSender(const BasicSender& other)
        requires(Core::Policy::many_senders)
        : Base(other.core_, other.core_->make_sender()) {
        core_->sender_joined();
    }
    BasicSender& operator=(BasicSender&&) = delete;
    ~BasicSender() { close(); }

    /// Waits for room until the deadline. Errors: timed_out, closed, too_large, foreign; the message was not
    /// sent then, and pages stay the caller's.
    Result send(Sent message, std::uint64_t deadline_ns = arch::no_deadline) {
        return Base::after_wait(send_until(static_cast<Sent>(message), deadline_ns));
    }
    /// The same with the error `full` in place of the wait. Interrupt handlers may send by it.
    Result try_send(Sent message) { return send_until(static_cast<Sent>(message), no_wait); }

    /// Sends the first messages, at least one and as many as there is room for, in order; how many.
    std::expected<std::uint32_t, ChannelError> send_batch(std::span<const Message> messages,
                                                          std::uint64_t deadline_ns = arch::no_deadline)
        requires fusion::InlinePayload<Message>
    {
        if (core_ == nullptr) return std::unexpected(ChannelError::closed);
        if (messages.empty()) return 0;
        return Base::after_wait(core_->send_batch(end_, messages, deadline_ns));
    }

    void close() {
        Core* const core = std::exchange(core_, nullptr);
        if (core != nullptr && core->sender_left(end_)) delete core;
    }

    bool is_ready() override { return core_ == nullptr || core_->can_send(end_); }
    bool enlist(SleeperEntry<KernelSleep>& entry) override {
        return core_ != nullptr && core_->enlist(end_, entry);
    }
    void delist(SleeperEntry<KernelSleep>& entry) override { core_->delist(end_, entry); }

  private:
    Result send_until(Sent message, std::uint64_t deadline_ns) {
        if (core_ == nullptr) return std::unexpected(ChannelError::closed);
        return core_->send(end_, static_cast<Sent>(message), deadline_ns);
    }
};

/// The receiving end. One thread at a time uses it. When the last of its kind leaves, what nobody received is
/// dropped, pages go back to their pool, and senders get `closed`.
template <class Core>
class BasicReceiver final : public Selectable<KernelSleep>,
                            public ChannelEnd<Core, typename Core::ReceiveEnd> {
    using Base = ChannelEnd<Core, typename Core::ReceiveEnd>;
    using Base::core_;
    using Base::end_;

  public:
    using Message = typename Core::Message;
    using Result = std::expected<Message, ChannelError>;

    using Base::Base;
    BasicReceiver(BasicReceiver&&) noexcept = default;
    BasicReceiver(const BasicReceiver& other)
        requires(Core::Policy::many_receivers)
        : Base(other.core_, other.core_->make_receiver()) {
        core_->receiver_joined();
    }
    BasicReceiver& operator=(BasicReceiver&&) = delete;
    ~BasicReceiver() { close(); }

    /// Waits for a message until the deadline. Errors: timed_out, closed, broken.
    Result receive(std::uint64_t deadline_ns = arch::no_deadline) {
        return Base::after_wait(receive_until(deadline_ns));
    }
    /// The same with the error `empty` in place of the wait.
    Result try_receive() { return receive_until(no_wait); }

    /// Receives into the first of `messages`: at least one, and as many as are there; how many.
    std::expected<std::uint32_t, ChannelError> receive_batch(std::span<Message> messages,
                                                             std::uint64_t deadline_ns = arch::no_deadline)
        requires fusion::InlinePayload<Message>
    {
        if (core_ == nullptr) return std::unexpected(ChannelError::closed);
        if (messages.empty()) return 0;
        return Base::after_wait(core_->receive_batch(end_, messages, deadline_ns));
    }

    void close() {
        Core* const core = std::exchange(core_, nullptr);
        if (core != nullptr && core->receiver_left(end_)) delete core;
    }

    bool is_ready() override { return core_ == nullptr || core_->can_receive(end_); }
    bool enlist(SleeperEntry<KernelSleep>& entry) override {
        return core_ != nullptr && core_->enlist(end_, entry);
    }
    void delist(SleeperEntry<KernelSleep>& entry) override { core_->delist(end_, entry); }

  private:
    Result receive_until(std::uint64_t deadline_ns) {
        if (core_ == nullptr) return std::unexpected(ChannelError::closed);
        return core_->receive(end_, deadline_ns);
    }
};

/// Both ends of a new channel.
template <class Core>
struct BasicChannel {
    using Message = typename Core::Message;
    using Policy = typename Core::Policy;

    BasicSender<Core> sender;
    BasicReceiver<Core> receiver;

    /// Room for at least so many messages. A channel of pages also needs their pool:
    /// `Channel<PageBuffer>::create(16, pool)`.
    template <class... PayloadArguments>
    static Result<BasicChannel> create(std::uint32_t capacity, PayloadArguments&... arguments) {
        if (capacity == 0 || capacity > Core::most_capacity)
            return fail("channel", "it holds 1 to 65,536 messages");
        Core* const core = Core::create(capacity, Payload<Message>(arguments...));
        if (core == nullptr) return out_of_memory("channel");
        return BasicChannel{{core, core->make_sender()}, {core, core->make_receiver()}};
    }
};

template <class Message, class Policy = OneToOne>
using FusionCore = FusionChannel<Message, Policy, KernelSleep>;
template <class Message, class Policy = OneToOne>
using ClassicCore = ClassicChannel<Message, Policy>;

#if EXO_FUSION_RINGS
template <class Message, class Policy = OneToOne>
using ChannelCore = FusionCore<Message, Policy>;
#else
template <class Message, class Policy = OneToOne>
using ChannelCore = ClassicCore<Message, Policy>;
#endif

/// Message: any trivially copyable type of up to 56 bytes, ByteMessage, or PageBuffer.
template <class Message, class Policy = OneToOne>
using Channel = BasicChannel<ChannelCore<Message, Policy>>;
template <class Message, class Policy = OneToOne>
using Sender = BasicSender<ChannelCore<Message, Policy>>;
template <class Message, class Policy = OneToOne>
using Receiver = BasicReceiver<ChannelCore<Message, Policy>>;

template <std::size_t count>
class Select : public BasicSelect<KernelSleep, count> {
  public:
    using BasicSelect<KernelSleep, count>::BasicSelect;
    std::expected<std::size_t, ChannelError> wait(std::uint64_t deadline_ns = arch::no_deadline) {
        return BasicSelect<KernelSleep, count>::wait(deadline_ns);
    }
};
template <class... Ends>
Select(Ends&...) -> Select<sizeof...(Ends)>;

}  // namespace exo::guest
