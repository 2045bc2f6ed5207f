// Small scenarios of the real rings, for any atomics policy: the correct one, and broken ones that must be
// found.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "expectations.h"
#include "model_atomics.h"
#include "shared/fusion/pool.h"
#include "shared/fusion/ring.h"

namespace exo::model {

template <class Atomics>
using SpscRing = fusion::BasicRing<fusion::SingleProducerClaim, fusion::SingleConsumer, Atomics>;
template <class Atomics>
using MpscRing = fusion::BasicRing<fusion::ManyProducerClaim, fusion::SingleConsumer, Atomics>;
template <class Atomics>
using SpmcRing = fusion::BasicRing<fusion::SingleProducerClaim, fusion::ManyConsumer, Atomics>;
template <class Atomics>
using MpmcRing = fusion::BasicRing<fusion::ManyProducerClaim, fusion::ManyConsumer, Atomics>;

template <class Ring>
Ring make_ring(World& world, std::uint32_t capacity, std::uint32_t first_position = 0) {
    const Ring ring = *Ring::format(world.memory(fusion::ring_bytes(capacity)), capacity, first_position);
    for (std::uint32_t i = 0; i < capacity; ++i) {
        world.name(&ring.slot(i).header, "slot " + std::to_string(i) + " header");
        world.name(ring.slot(i).payload, "slot " + std::to_string(i) + " payload");
    }
    world.name(&ring.header().producer.claimed, "producers' claim");
    world.name(&ring.header().producer.published, "published");
    world.name(&ring.header().consumer.claimed, "consumers' claim");
    world.name(&ring.header().consumer.released, "released");
    world.name(&ring.header().consumer_wake.word, "consumer's wake word");
    world.name(&ring.header().producer_wake.word, "producer's wake word");
    return ring;
}

/// An end of a ring that lives as long as the threads' bodies do.
template <class End, class Ring>
std::shared_ptr<End> make_end(const Ring& ring) {
    return std::make_shared<End>(ring);
}

template <class Producer>
void send_by_trying(Producer& producer, std::uint64_t value) {
    retry([&] { return producer.send(value).has_value(); });
}
template <class Consumer>
std::uint64_t receive_by_trying(Consumer& consumer) {
    std::uint64_t value = 0;
    retry([&] { return consumer.recv(value).has_value(); });
    return value;
}

/// One producer sends 1 … count singly, the consumer takes them singly.
template <class Atomics>
Scenario one_by_one(std::uint64_t count, std::uint32_t first_position = 0) {
    return [=](World& world) {
        const auto ring = make_ring<SpscRing<Atomics>>(world, 2, first_position);
        const auto producer = make_end<typename SpscRing<Atomics>::Producer>(ring);
        const auto consumer = make_end<typename SpscRing<Atomics>::Consumer>(ring);
        world.thread("producer", [=] {
            for (std::uint64_t i = 1; i <= count; ++i) send_by_trying(*producer, i);
        });
        world.thread("consumer", [=] {
            for (std::uint64_t i = 1; i <= count; ++i)
                check(receive_by_trying(*consumer) == i, "not the next message");
        });
    };
}

/// The same with batches of two, received in batches of three.
template <class Atomics>
Scenario by_batches(std::uint32_t capacity, std::uint64_t batches) {
    return [=](World& world) {
        const auto ring = make_ring<SpscRing<Atomics>>(world, capacity);
        const auto producer = make_end<typename SpscRing<Atomics>::Producer>(ring);
        const auto consumer = make_end<typename SpscRing<Atomics>::Consumer>(ring);
        world.thread("producer", [=] {
            std::uint64_t next = 1;
            while (next <= 2 * batches) {
                const std::uint64_t values[2] = {next, next + 1};
                const std::size_t left = next % 2 == 1 ? 2 : 1;
                std::uint32_t sent = 0;
                retry([&] {
                    return (sent = producer->send_batch(std::span(values).first(left)).value_or(0)) != 0;
                });
                next += sent;
            }
        });
        world.thread("consumer", [=] {
            for (std::uint64_t next = 1; next <= 2 * batches;) {
                std::uint64_t values[3];
                std::uint32_t taken = 0;
                retry([&] { return (taken = consumer->recv_batch(std::span(values)).value_or(0)) != 0; });
                for (std::uint32_t i = 0; i < taken; ++i) check(values[i] == next++, "not the next message");
            }
        });
    };
}

/// Two producers send `each` messages, numbered 10, 11 … and 20, 21 …
template <class Atomics>
Scenario two_producers(std::uint64_t each) {
    return [=](World& world) {
        const auto ring = make_ring<MpscRing<Atomics>>(world, 2);
        for (const std::uint64_t first : {10U, 20U}) {
            const auto producer = make_end<typename MpscRing<Atomics>::Producer>(ring);
            world.thread(first == 10 ? "producer 1" : "producer 2", [=] {
                for (std::uint64_t i = 0; i < each; ++i) send_by_trying(*producer, first + i);
            });
        }
        const auto consumer = make_end<typename MpscRing<Atomics>::Consumer>(ring);
        world.thread("consumer", [=] {
            std::array<std::uint64_t, 2> next = {10, 20};
            for (std::uint64_t i = 0; i < 2 * each; ++i) {
                const std::uint64_t value = receive_by_trying(*consumer);
                check(value / 10 == 1 || value / 10 == 2, "no such message");
                check(value == next[value / 10 - 1]++, "not that producer's next message");
            }
        });
    };
}

/// Two consumers share three messages.
template <class Atomics>
Scenario two_consumers() {
    return [](World& world) {
        const auto ring = make_ring<SpmcRing<Atomics>>(world, 2);
        const auto producer = make_end<typename SpmcRing<Atomics>::Producer>(ring);
        world.thread("producer", [=] {
            for (std::uint64_t i = 0; i < 3; ++i) send_by_trying(*producer, i);
        });
        const auto seen = std::make_shared<std::array<int, 3>>();
        const auto consume = [=](const auto& consumer, int count) {
            for (int i = 0; i < count; ++i) {
                const std::uint64_t value = receive_by_trying(*consumer);
                check(value < 3, "no such message");
                ++(*seen)[value];
            }
        };
        const auto first = make_end<typename SpmcRing<Atomics>::Consumer>(ring);
        const auto second = make_end<typename SpmcRing<Atomics>::Consumer>(ring);
        world.thread("consumer 1", [=] { consume(first, 2); });
        world.thread("consumer 2", [=] { consume(second, 1); });
        world.finally([=] { check(*seen == std::array{1, 1, 1}, "a message was lost or taken twice"); });
    };
}

/// Two batches of two; two consumers take a message each. A slot is free only when its own consumer says so,
/// and consumers say so in any order.
template <class Atomics, template <class> class Claim = fusion::SingleProducerClaim>
Scenario batches_to_two_consumers() {
    return [](World& world) {
        using Ring = fusion::BasicRing<Claim, fusion::ManyConsumer, Atomics>;
        const auto ring = make_ring<Ring>(world, 2);
        const auto producer = make_end<typename Ring::Producer>(ring);
        world.thread("producer", [=] {
            for (std::uint64_t next = 0; next < 4;) {
                const std::uint64_t values[2] = {next, next + 1};
                std::uint32_t sent = 0;
                retry([&] { return (sent = producer->send_batch(std::span(values)).value_or(0)) != 0; });
                next += sent;
                if (next % 2 == 1) break;  // a batch cut short is as good an end
            }
        });
        const auto seen = std::make_shared<std::array<int, 5>>();
        for (const char* name : {"consumer 1", "consumer 2"}) {
            const auto consumer = make_end<typename Ring::Consumer>(ring);
            world.thread(name, [=] { ++seen->at(receive_by_trying(*consumer)); });
        }
        world.finally(
            [=] { check(*seen == std::array{1, 1, 0, 0, 0}, "a message was lost or taken twice"); });
    };
}

/// Two producers and two consumers, two messages.
template <class Atomics>
Scenario two_of_each() {
    return [](World& world) {
        const auto ring = make_ring<MpmcRing<Atomics>>(world, 2);
        const auto seen = std::make_shared<std::array<int, 2>>();
        for (const std::uint64_t value : {0U, 1U}) {
            const auto producer = make_end<typename MpmcRing<Atomics>::Producer>(ring);
            world.thread(value == 0 ? "producer 1" : "producer 2", [=] { send_by_trying(*producer, value); });
        }
        for (const char* name : {"consumer 1", "consumer 2"}) {
            const auto consumer = make_end<typename MpmcRing<Atomics>::Consumer>(ring);
            world.thread(name, [=] { ++seen->at(receive_by_trying(*consumer)); });
        }
        world.finally([=] { check(*seen == std::array{1, 1}, "a message was lost or taken twice"); });
    };
}

inline constexpr auto sleep_by_contract = [](const auto&, auto& consumer) {
    return consumer.prepare_sleep();
};
inline constexpr auto notify_by_contract = [](const auto&, auto& producer) { return producer.must_notify(); };

/// The consumer sleeps whenever the contract lets it; producers notify whenever the contract says so.
template <class Atomics, template <class> class Ring, class Sleep = decltype(sleep_by_contract),
          class Notify = decltype(notify_by_contract)>
Scenario consumer_sleeps(int producers, std::uint64_t each, Sleep may_sleep = sleep_by_contract,
                         Notify must_notify = notify_by_contract) {
    return [=](World& world) {
        const auto ring = make_ring<Ring<Atomics>>(world, 4);
        bool& event = world.event();
        for (int p = 0; p < producers; ++p) {
            const auto producer = make_end<typename Ring<Atomics>::Producer>(ring);
            world.thread(p == 0 ? "producer 1" : "producer 2", [=, &event] {
                for (std::uint64_t i = 0; i < each; ++i) {
                    send_by_trying(*producer, i);
                    if (must_notify(ring, *producer)) notify(event);
                }
            });
        }
        const auto consumer = make_end<typename Ring<Atomics>::Consumer>(ring);
        world.thread("consumer", [=, &event] {
            for (std::uint64_t taken = 0; taken < each * static_cast<std::uint64_t>(producers);) {
                std::uint64_t value;
                if (consumer->recv(value)) {
                    ++taken;
                } else if (may_sleep(ring, *consumer)) {
                    sleep_on(event);
                    consumer->finish_sleep();
                }
            }
        });
    };
}

inline constexpr auto sleep_until_three_at_most = [](auto& consumer) {
    return consumer.prepare_sleep_at_most(3);
};

/// The consumer asks for a position that no message reaches; the producer notifies when it knows of a sleeper
/// and has no more to send, as block devices do.
template <class Atomics, class Sleep = decltype(sleep_until_three_at_most)>
Scenario told_when_nothing_is_left(std::uint64_t messages, Sleep may_sleep = sleep_until_three_at_most) {
    return [=](World& world) {
        const auto ring = make_ring<SpscRing<Atomics>>(world, 4);
        bool& event = world.event();
        const auto producer = make_end<typename SpscRing<Atomics>::Producer>(ring);
        world.thread("producer", [=, &event] {
            bool held_back = false;
            for (std::uint64_t i = 0; i < messages; ++i) {
                send_by_trying(*producer, i);
                const bool passed = producer->must_notify();
                held_back = !passed && producer->consumer_sleeps();
                if (passed) notify(event);
            }
            if (held_back && producer->consumer_sleeps() && !producer->is_drained()) notify(event);
        });
        const auto consumer = make_end<typename SpscRing<Atomics>::Consumer>(ring);
        world.thread("consumer", [=, &event] {
            for (std::uint64_t taken = 0; taken < messages;) {
                std::uint64_t value;
                if (consumer->recv(value)) {
                    ++taken;
                } else if (may_sleep(*consumer)) {
                    sleep_on(event);
                    consumer->finish_sleep();
                }
            }
        });
    };
}

}  // namespace exo::model
