// All interleavings of small scenarios with the real ring, wake-up contract and pool.
#include <cstring>

#include "ring_scenarios.h"

namespace exo::model {
namespace {

using Atomics = ModelAtomics;

TEST(RingModel, PublicationAndReleaseThroughTwoLaps) {
    expect_correct(one_by_one<Atomics>(5));
}

TEST(RingModel, SequencesThatWrapAround) {
    expect_correct(one_by_one<Atomics>(4, 0U - 2));
}

TEST(RingModel, BatchesThatFillTheRing) {
    expect_correct(by_batches<Atomics>(2, 3));
}

TEST(RingModel, BatchesThatStraddleTheEnd) {
    expect_correct(by_batches<Atomics>(4, 4));
}

TEST(RingModel, ClaimOfManyProducers) {
    expect_correct(two_producers<Atomics>(2));
}

TEST(RingModel, ClaimOfManyConsumers) {
    expect_correct(two_consumers<Atomics>());
}

TEST(RingModel, BatchesToManyConsumers) {
    expect_correct(batches_to_two_consumers<Atomics>());
}

TEST(RingModel, ClaimsOnBothSides) {
    expect_correct(two_of_each<Atomics>());
}

TEST(RingModel, NoWakeUpIsLost) {
    expect_correct(consumer_sleeps<Atomics, SpscRing>(1, 3));
}

TEST(RingModel, NoWakeUpOfManyProducersIsLost) {
    expect_correct(consumer_sleeps<Atomics, MpscRing>(2, 1));
}

TEST(RingModel, ASleepUntilTwoMessagesEndsWithTheSecond) {
    expect_correct([](World& world) {
        const auto ring = make_ring<SpscRing<Atomics>>(world, 4);
        bool& event = world.event();
        const auto producer = make_end<SpscRing<Atomics>::Producer>(ring);
        world.thread("producer", [=, &event] {
            for (std::uint64_t i = 0; i < 3; ++i) {
                send_by_trying(*producer, i);
                if (producer->must_notify()) notify(event);
            }
        });
        const auto consumer = make_end<SpscRing<Atomics>::Consumer>(ring);
        world.thread("consumer", [=, &event] {
            if (consumer->prepare_sleep(2)) {
                sleep_on(event);
                consumer->finish_sleep();
            }
            check(consumer->has_messages(2), "woken too early");
        });
    });
}

TEST(RingModel, NoWakeUpThatWasPutOffIsLost) {
    expect_correct(told_when_nothing_is_left<Atomics>(2));
}

TEST(RingModel, BothSidesSleep) {
    expect_correct([](World& world) {
        const auto ring = make_ring<SpscRing<Atomics>>(world, 2);
        bool& wake_consumer = world.event();
        bool& wake_producer = world.event();
        const auto producer = make_end<SpscRing<Atomics>::Producer>(ring);
        world.thread("producer", [=, &wake_consumer, &wake_producer] {
            for (std::uint64_t i = 0; i < 3;) {
                if (producer->send(i)) {
                    ++i;
                    if (producer->must_notify()) notify(wake_consumer);
                } else if (producer->prepare_sleep()) {
                    sleep_on(wake_producer);
                    producer->finish_sleep();
                }
            }
        });
        const auto consumer = make_end<SpscRing<Atomics>::Consumer>(ring);
        world.thread("consumer", [=, &wake_consumer, &wake_producer] {
            for (std::uint64_t next = 0; next < 3;) {
                std::uint64_t value;
                if (consumer->recv(value)) {
                    check(value == next++, "not the next message");
                    if (consumer->must_notify()) notify(wake_producer);
                } else if (consumer->prepare_sleep()) {
                    sleep_on(wake_consumer);
                    consumer->finish_sleep();
                }
            }
        });
    });
}

TEST(RingModel, ASuccessorTakesOverWhileTheConsumerWorks) {
    expect_correct([](World& world) {
        const auto ring = make_ring<SpscRing<Atomics>>(world, 4);
        SpscRing<Atomics>::Producer dead(ring);
        const std::uint64_t values[2] = {0, 1};
        static_cast<void>(dead.send_batch(std::span(values)));
        static_cast<void>(dead.send_batch(std::span(values)));
        ring.slot(2).header =
            fusion::SlotHeader{2, fusion::Kind::none, 0, 0}.to_word();  // died before its last store
        world.thread("successor", [=] {
            auto producer = SpscRing<Atomics>::Producer::take_over(ring);
            check(producer.position() == 2, "took over at the wrong position");
            for (const std::uint64_t value : {2U, 3U, 4U}) send_by_trying(producer, value);
        });
        const auto consumer = make_end<SpscRing<Atomics>::Consumer>(ring);
        world.thread("consumer", [=] {
            for (std::uint64_t i = 0; i < 5; ++i)
                check(receive_by_trying(*consumer) == i, "not the next message");
        });
    });
}

using Pool = fusion::SharedMemoryPool<Atomics>;

TEST(PoolModel, NoPageHasTwoOwners) {
    expect_correct([](World& world) {
        const auto memory = world.memory(fusion::pool_bytes(2));
        const auto owned = std::make_shared<std::array<int, 2>>();
        static_cast<void>(Pool::format(memory, 2));
        for (const char* name : {"first", "second"}) {
            const auto pool = std::make_shared<Pool>(*Pool::attach(memory));
            world.thread(name, [=] {
                for (int i = 0; i < 2; ++i) {
                    auto buffer = pool->allocate(1);
                    if (!buffer) continue;
                    check(++owned->at(buffer->descriptor().first_page) == 1, "a page was given out twice");
                    --owned->at(buffer->descriptor().first_page);
                }
            });
        }
        const auto pool = std::make_shared<Pool>(*Pool::attach(memory));
        world.finally([=] { check(pool->free_pages() == 2, "a page was lost"); });
    });
}

TEST(PoolModel, ADescriptorSentTwiceIsAcceptedOnce) {
    expect_correct([](World& world) {
        const auto memory = world.memory(fusion::pool_bytes(2));
        auto home = *Pool::format(memory, 2);
        auto buffer = *home.allocate(1);
        fusion::Message message;
        message.kind = fusion::Kind::shared_memory;
        message.length = sizeof(fusion::PageDescriptor);
        std::memcpy(message.payload, &buffer.descriptor(), sizeof(fusion::PageDescriptor));
        buffer.hand_over();
        const auto accepted = std::make_shared<int>(0);
        for (const char* name : {"first", "second"}) {
            const auto pool = std::make_shared<Pool>(*Pool::attach(memory));
            world.thread(name, [=] { *accepted += pool->accept(message).has_value(); });
        }
        world.finally([=] { check(*accepted == 1, "accepted twice"); });
    });
}

}  // namespace
}  // namespace exo::model
