#pragma once

#include <cstdint>

#include "shared/fusion/error.h"

namespace exo::guest {

/// Why a channel did not take or give a message.
enum class ChannelError : std::uint8_t {
    full,       ///< no room now: receivers are slower than senders
    empty,      ///< no message now
    timed_out,  ///< the clock reached the deadline first
    closed,     ///< sending: nobody receives any more; receiving: nobody sends any more and all was received
    too_large,  ///< more bytes than one message carries; send them in pages
    foreign,    ///< the pages are not from the pool that the channel was made with
    broken,     ///< a slot holds what no sender of this channel writes: somebody wrote over the ring
};

constexpr const char* describe(ChannelError error) {
    switch (error) {
        case ChannelError::full:
            return "channel is full";
        case ChannelError::empty:
            return "channel is empty";
        case ChannelError::timed_out:
            return "deadline passed before the channel was ready";
        case ChannelError::closed:
            return "other side of the channel is gone";
        case ChannelError::too_large:
            return "message is larger than 56 bytes; send it in pages of a pool";
        case ChannelError::foreign:
            return "pages are not from the channel's pool";
        case ChannelError::broken:
            return "channel's memory was written over";
    }
    return "unknown channel error";
}

constexpr ChannelError channel_error(fusion::SendError error) {
    return error == fusion::SendError::full ? ChannelError::full : ChannelError::too_large;
}
constexpr ChannelError channel_error(fusion::ReceiveError error) {
    return error == fusion::ReceiveError::empty ? ChannelError::empty : ChannelError::broken;
}

}  // namespace exo::guest
