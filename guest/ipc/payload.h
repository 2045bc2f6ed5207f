// What channels carry, and how each kind of it goes into a ring's slots and comes out.
#pragma once

#include <concepts>
#include <cstddef>
#include <expected>
#include <span>
#include <utility>

#include "guest/ipc/channel_error.h"
#include "guest/ipc/page_pool.h"
#include "shared/fusion/message.h"
#include "shared/fusion/pool.h"

namespace exo::guest {

template <class T>
class Payload;

/// A value of up to 56 bytes, copied.
template <fusion::InlinePayload T>
    requires std::default_initializable<T>
class Payload<T> {
  public:
    using Sent = const T&;

    template <class Producer>
    static std::expected<void, ChannelError> send(Producer& producer, const T& value) {
        const auto sent = producer.send(value);
        if (!sent) return std::unexpected(channel_error(sent.error()));
        return {};
    }
    template <class Consumer>
    static std::expected<T, ChannelError> receive(Consumer& consumer) {
        std::expected<T, ChannelError> value;
        const auto received = consumer.recv(*value);
        if (!received) value = std::unexpected(channel_error(received.error()));
        return value;
    }
    static std::expected<T, ChannelError> keep(const T& value) { return value; }
};

/// Up to 56 bytes; a receiver gets as many as were sent.
using ByteMessage = fusion::Message;

template <>
class Payload<ByteMessage> {
  public:
    using Sent = std::span<const std::byte>;

    template <class Producer>
    static std::expected<void, ChannelError> send(Producer& producer, Sent bytes) {
        const auto sent = producer.send_inline(bytes);
        if (!sent) return std::unexpected(channel_error(sent.error()));
        return {};
    }
    template <class Consumer>
    static std::expected<ByteMessage, ChannelError> receive(Consumer& consumer) {
        auto message = consumer.recv();
        if (!message) return std::unexpected(channel_error(message.error()));
        return *message;
    }
    static std::expected<ByteMessage, ChannelError> keep(Sent bytes) {
        if (bytes.size() > fusion::payload_size) return std::unexpected(ChannelError::too_large);
        ByteMessage message(
            fusion::SlotHeader{0, fusion::Kind::inline_data, 0, static_cast<std::uint16_t>(bytes.size())});
        __builtin_memcpy(message.payload, bytes.data(), bytes.size());
        return message;
    }
};

/// Pages of a pool: only their descriptor is copied. A buffer that could not be sent stays the sender's.
template <>
class Payload<PageBuffer> {
  public:
    using Sent = PageBuffer&&;

    explicit Payload(PagePool& pool) : pool_(&pool), view_(pool.view()) {}

    template <class Producer>
    std::expected<void, ChannelError> send(Producer& producer, PageBuffer&& buffer) const {
        if (!pool_->owns(buffer)) return std::unexpected(ChannelError::foreign);
        const auto sent = send_zerocopy(producer, std::move(buffer));
        if (!sent) return std::unexpected(channel_error(sent.error()));
        return {};
    }
    template <class Consumer>
    std::expected<PageBuffer, ChannelError> receive(Consumer& consumer) {
        const auto message = consumer.recv();
        if (!message) return std::unexpected(channel_error(message.error()));
        auto buffer = view_.accept(*message);
        if (!buffer) return std::unexpected(ChannelError::broken);
        return std::move(*buffer);
    }
    std::expected<PageBuffer, ChannelError> keep(PageBuffer&& buffer) const {
        if (!pool_->owns(buffer)) return std::unexpected(ChannelError::foreign);
        return std::move(buffer);
    }

  private:
    PagePool* pool_;
    PagePool::View view_;
};

}  // namespace exo::guest
