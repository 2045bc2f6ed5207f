// The fusion rings in the shape the patterns ask for.
#pragma once

#include <cstddef>
#include <span>

#include "shared/fusion/ring.h"
#include "tests/bench/ring/message.h"

namespace exo::bench {

/// `Flags` tells apart the same code compiled with different flags, which the linker would otherwise make
/// one.
template <class Ring, class Message, class Flags>
class FusionQueue {
  public:
    bool try_push(const Message& message) { return producer_.send(message).has_value(); }
    bool try_pop(Message& message) { return consumer_.recv(message).has_value(); }
    std::size_t try_push_batch(const Message* messages, std::size_t count) {
        return producer_.send_batch(std::span(messages, count)).value_or(0);
    }
    std::size_t try_pop_batch(Message* messages, std::size_t count) {
        return consumer_.recv_batch(std::span(messages, count)).value_or(0);
    }

  private:
    alignas(4096) std::byte memory_[fusion::ring_bytes(fusion::default_capacity)];
    Ring ring_ = *Ring::format(memory_);
    alignas(128) typename Ring::Producer producer_{ring_};
    alignas(128) typename Ring::Consumer consumer_{ring_};
};

/// The same with eight-byte words packed seven to a slot.
template <class Flags>
class FusionPackedQueue {
  public:
    std::size_t try_push_batch(const Message8* messages, std::size_t count) {
        return producer_.send_packed(std::span(messages, count)).value_or(0);
    }
    /// Whole slots: room for 32 words in 5 slots of 7.
    static constexpr std::size_t receive_room = 35;
    std::size_t try_pop_batch(Message8* messages, std::size_t count) {
        return consumer_.recv_packed(std::span(messages, count)).value_or(0);
    }

  private:
    alignas(4096) std::byte memory_[fusion::ring_bytes(fusion::default_capacity)];
    fusion::Ring ring_ = *fusion::Ring::format(memory_);
    alignas(128) fusion::Producer producer_{ring_};
    alignas(128) fusion::Consumer consumer_{ring_};
};

}  // namespace exo::bench
