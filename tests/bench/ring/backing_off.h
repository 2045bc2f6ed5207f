// Any queue, polled as fusion::BackOff says.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shared/fusion/back_off.h"
#include "tests/bench/ring/patterns.h"

namespace exo::bench {

template <class Queue>
class BackingOff {
  public:
    template <class Message>
    bool try_push(const Message& message) {
        return room_.count(queue_.try_push(message));
    }
    template <class Message>
    bool try_pop(Message& message) {
        return messages_.count(queue_.try_pop(message));
    }
    template <class Message>
    std::size_t try_push_batch(const Message* messages, std::size_t count) {
        return room_.count(queue_.try_push_batch(messages, count));
    }
    template <class Message>
    std::size_t try_pop_batch(Message* messages, std::size_t count) {
        return messages_.count(queue_.try_pop_batch(messages, count));
    }
    void wait_for_room() { room_.back_off.wait(relax); }
    void wait_for_message() { messages_.back_off.wait(relax); }

  private:
    struct alignas(128) Side {
        fusion::BackOff back_off;

        template <class Moved>
        Moved count(Moved moved) {
            back_off.moved(static_cast<std::uint32_t>(moved));
            return moved;
        }
    };

    Queue queue_;
    Side room_;
    Side messages_;
};

}  // namespace exo::bench
