// The ways a queue is used, for any queue with try_push, try_pop and their batch forms. Every run checks the
// sum of all the words that came out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tests/bench/frame/case.h"
#include "tests/bench/ring/message.h"

namespace exo::bench {

inline constexpr std::size_t batch_size = 32;

inline void relax() {
    asm volatile("pause");
}

/// Between two looks at a queue that is full, or empty: what the queue has for that, or a bare pause.
template <class Queue>
void wait_for_room(Queue& queue) {
    if constexpr (requires { queue.wait_for_room(); }) {
        queue.wait_for_room();
    } else {
        relax();
    }
}
template <class Queue>
void wait_for_message(Queue& queue) {
    if constexpr (requires { queue.wait_for_message(); }) {
        queue.wait_for_message();
    } else {
        relax();
    }
}

/// One instance for all runs of a queue type, made by its first run; it is empty between runs.
template <class Queue>
Queue& queue_instance() {
    static Queue queue;
    return queue;
}

template <class Queue, class Message>
struct SingleMessages {
    static constexpr std::uint64_t count = 32'768;

    static void send(Queue& queue) {
        for (std::uint64_t i = 0; i < count; ++i) {
            const Message message = Message::number(i);
            while (!queue.try_push(message)) wait_for_room(queue);
        }
    }
    static std::uint64_t receive(Queue& queue) {
        std::uint64_t sum = 0;
        Message message;
        for (std::uint64_t i = 0; i < count; ++i) {
            while (!queue.try_pop(message)) wait_for_message(queue);
            sum += message.sum();
        }
        return sum;
    }
    static std::uint64_t send_and_receive(Queue& queue) {
        std::uint64_t sum = 0;
        Message message;
        for (std::uint64_t i = 0; i < count; ++i) {
            while (!queue.try_push(Message::number(i))) relax();
            while (!queue.try_pop(message)) relax();
            sum += message.sum();
        }
        return sum;
    }
};

/// How many messages a receiver makes room for: a batch, or what the queue asks for.
template <class Queue>
constexpr std::size_t receive_room() {
    if constexpr (requires { Queue::receive_room; }) {
        return Queue::receive_room;
    } else {
        return batch_size;
    }
}

template <class Queue, class Message>
struct Batches {
    static constexpr std::uint64_t count = 32'768;
    static constexpr std::size_t room = receive_room<Queue>();

    static void send(Queue& queue) {
        Message messages[batch_size];
        for (std::uint64_t i = 0; i < count; i += batch_size) {
            for (std::size_t k = 0; k < batch_size; ++k) messages[k] = Message::number(i + k);
            for (std::size_t sent = 0; sent < batch_size;) {
                const std::size_t now = queue.try_push_batch(messages + sent, batch_size - sent);
                if (now == 0) wait_for_room(queue);
                sent += now;
            }
        }
    }
    static std::uint64_t receive(Queue& queue) {
        Message messages[room];
        std::uint64_t sum = 0;
        for (std::uint64_t taken = 0; taken < count;) {
            const std::size_t now = queue.try_pop_batch(messages, room);
            if (now == 0) wait_for_message(queue);
            for (std::size_t k = 0; k < now; ++k) sum += messages[k].sum();
            taken += now;
        }
        return sum;
    }
    static std::uint64_t send_and_receive(Queue& queue) {
        Message messages[room];
        std::uint64_t sum = 0;
        for (std::uint64_t i = 0; i < count; i += batch_size) {
            for (std::size_t k = 0; k < batch_size; ++k) messages[k] = Message::number(i + k);
            for (std::size_t sent = 0; sent < batch_size;)
                sent += queue.try_push_batch(messages + sent, batch_size - sent);
            for (std::size_t taken = 0; taken < batch_size;) {
                const std::size_t now = queue.try_pop_batch(messages, room);
                for (std::size_t k = 0; k < now; ++k) sum += messages[k].sum();
                taken += now;
            }
        }
        return sum;
    }
};

/// Sends and receives on one CPU, in turn.
template <template <class, class> class Pattern, class Queue, class Message>
Run run_on_one_cpu(Stage& stage) {
    struct Context {
        Queue* queue;
        std::uint64_t sum;
    } context{&queue_instance<Queue>(), 0};
    const std::uint64_t ticks = stage.run(
        [](void* pointer) {
            auto& here = *static_cast<Context*>(pointer);
            here.sum = Pattern<Queue, Message>::send_and_receive(*here.queue);
        },
        &context);
    constexpr std::uint64_t count = Pattern<Queue, Message>::count;
    return {ticks, count, context.sum == Message::sum_of_first(count)};
}

/// Sends on one CPU, receives on the other.
template <template <class, class> class Pattern, class Queue, class Message>
Run run_on_two_cpus(Stage& stage) {
    struct Context {
        Queue* queue;
        std::uint64_t sum;
    } context{&queue_instance<Queue>(), 0};
    const std::uint64_t ticks = stage.run_together(
        [](void* pointer) {
            auto& here = *static_cast<Context*>(pointer);
            here.sum = Pattern<Queue, Message>::receive(*here.queue);
        },
        [](void* pointer) { Pattern<Queue, Message>::send(*static_cast<Context*>(pointer)->queue); },
        &context);
    constexpr std::uint64_t count = Pattern<Queue, Message>::count;
    return {ticks, count, context.sum == Message::sum_of_first(count)};
}

/// A message there and another one back, over two queues.
template <class Queue, class Message>
Run run_ping_pong(Stage& stage) {
    static constexpr std::uint64_t rounds = 4'096;
    struct There : Queue {};
    struct Back : Queue {};
    struct Context {
        There* there;
        Back* back;
        std::uint64_t sum;
    } context{&queue_instance<There>(), &queue_instance<Back>(), 0};
    const std::uint64_t ticks = stage.run_together(
        [](void* pointer) {
            auto& here = *static_cast<Context*>(pointer);
            Message message;
            for (std::uint64_t i = 0; i < rounds; ++i) {
                while (!here.there->try_push(Message::number(i))) {
                }
                while (!here.back->try_pop(message)) {
                }
                here.sum += message.sum();
            }
        },
        [](void* pointer) {
            auto& here = *static_cast<Context*>(pointer);
            Message message;
            for (std::uint64_t i = 0; i < rounds; ++i) {
                while (!here.there->try_pop(message)) {
                }
                while (!here.back->try_push(message)) {
                }
            }
        },
        &context);
    return {ticks, rounds, context.sum == Message::sum_of_first(rounds)};
}

}  // namespace exo::bench
