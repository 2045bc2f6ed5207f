// Threads at full speed with payloads that add up. Under ThreadSanitizer this proves the ordering; natively,
// the counts.
#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <thread>
#include <vector>

#include "ring_memory.h"
#include "shared/fusion/pool.h"

namespace exo::fusion::test {
namespace {

constexpr std::uint64_t messages = 40'000;

/// Who and which, then five words that follow from them: a torn or stale message does not add up.
struct Stamped {
    std::uint64_t source;
    std::uint64_t number;
    std::uint64_t mixed[5];

    static Stamped of(std::uint64_t source, std::uint64_t number) {
        Stamped stamped{source, number, {}};
        for (std::uint64_t i = 0; i < 5; ++i)
            stamped.mixed[i] = (source * 31 + number) * 0x9e37'79b9'7f4a'7c15 + i;
        return stamped;
    }
    bool operator==(const Stamped&) const = default;
};
static_assert(sizeof(Stamped) == payload_size);

/// Sends numbers 0 … count-1 of a source, `batch` at a time.
template <class Producer>
void send_all(Producer& producer, std::uint64_t source, std::uint64_t count, std::uint64_t batch) {
    for (std::uint64_t next = 0; next < count;) {
        std::vector<Stamped> pending;
        for (std::uint64_t i = next; i < std::min(count, next + batch); ++i)
            pending.push_back(Stamped::of(source, i));
        if (batch == 1) {
            producer.send(pending[0]) ? void(++next) : std::this_thread::yield();
        } else {
            const auto sent = producer.send_batch(std::span<const Stamped>(pending));
            sent ? void(next += *sent) : std::this_thread::yield();
        }
    }
}

/// Receives until all consumers together have `total`; calls `check` for each message.
template <class Consumer, class Check>
void receive_all(Consumer& consumer, std::atomic<std::uint64_t>& taken, std::uint64_t total,
                 std::size_t batch, Check check) {
    std::vector<Stamped> received(batch);
    while (taken.load(std::memory_order_relaxed) < total) {
        const auto count = consumer.recv_batch(std::span(received));
        if (!count) {
            ASSERT_EQ(count.error(), ReceiveError::empty);
            std::this_thread::yield();
            continue;
        }
        for (std::uint32_t i = 0; i < *count; ++i) {
            ASSERT_EQ(received[i], Stamped::of(received[i].source, received[i].number));
            check(received[i]);
        }
        taken.fetch_add(*count, std::memory_order_relaxed);
    }
}

struct Load {
    std::uint32_t capacity;
    std::uint64_t send_batch;
    std::size_t receive_batch;
};
class Stress : public testing::TestWithParam<Load> {};

TEST_P(Stress, OneToOneKeepsTheOrder) {
    Channel<Ring> channel(GetParam().capacity, 0U - 1000);
    std::jthread sender([&] { send_all(channel.producer, 0, messages, GetParam().send_batch); });
    std::atomic<std::uint64_t> taken = 0;
    std::uint64_t next = 0;
    receive_all(channel.consumer, taken, messages, GetParam().receive_batch,
                [&](const Stamped& stamped) { ASSERT_EQ(stamped.number, next++); });
}

TEST_P(Stress, ManyToOneKeepsTheOrderOfEachProducer) {
    Channel<ManyProducerRing> channel(GetParam().capacity, 0U - 1000);
    std::vector<std::jthread> senders;
    for (std::uint64_t source = 0; source < 3; ++source) {
        senders.emplace_back([&, source] {
            ManyProducerRing::Producer producer(channel.ring);
            send_all(producer, source, messages / 3, GetParam().send_batch);
        });
    }
    std::atomic<std::uint64_t> taken = 0;
    std::uint64_t next[3] = {};
    receive_all(channel.consumer, taken, messages / 3 * 3, GetParam().receive_batch,
                [&](const Stamped& stamped) { ASSERT_EQ(stamped.number, next[stamped.source]++); });
}

TEST_P(Stress, ManyToManyDeliversEachMessageOnce) {
    Channel<ManyToManyRing> channel(GetParam().capacity, 0U - 1000);
    const std::uint64_t each = messages / 2;
    std::vector<std::atomic<std::uint8_t>> seen(2 * each);
    std::atomic<std::uint64_t> taken = 0;
    {
        std::vector<std::jthread> threads;
        for (std::uint64_t source = 0; source < 2; ++source) {
            threads.emplace_back([&, source] {
                ManyToManyRing::Producer producer(channel.ring);
                send_all(producer, source, each, GetParam().send_batch);
            });
            threads.emplace_back([&] {
                ManyToManyRing::Consumer consumer(channel.ring);
                receive_all(consumer, taken, 2 * each, GetParam().receive_batch,
                            [&](const Stamped& stamped) { ++seen[stamped.source * each + stamped.number]; });
            });
        }
    }
    for (const auto& count : seen) ASSERT_EQ(count, 1);
}

INSTANTIATE_TEST_SUITE_P(Loads, Stress,
                         testing::Values(Load{2, 1, 1}, Load{2, 5, 3}, Load{64, 1, 16}, Load{64, 32, 32},
                                         Load{4096, 32, 7}),
                         [](const auto& test) {
                             return "Capacity" + std::to_string(test.param.capacity) + "Send" +
                                    std::to_string(test.param.send_batch) + "Receive" +
                                    std::to_string(test.param.receive_batch);
                         });

TEST(StressPacked, WordsArriveInOrder) {
    Channel<Ring> channel(64);
    std::jthread sender([&] {
        for (std::uint64_t next = 0; next < messages;) {
            std::uint64_t words[100];
            const std::uint64_t count = std::min<std::uint64_t>(std::size(words), messages - next);
            for (std::uint64_t i = 0; i < count; ++i) words[i] = next + i;
            next += channel.producer.send_packed(std::span<const std::uint64_t>(words, count)).value_or(0);
        }
    });
    std::uint64_t words[21];
    for (std::uint64_t next = 0; next < messages;) {
        const std::uint32_t count = channel.consumer.recv_packed(std::span(words)).value_or(0);
        for (std::uint32_t i = 0; i < count; ++i) ASSERT_EQ(words[i], next++);
    }
}

TEST(StressPool, PagesGoRoundBetweenTwoThreads) {
    constexpr std::uint64_t rounds = 5'000;
    const RingMemory memory(pool_bytes(8));
    auto pool = SharedMemoryPool<>::format(memory.span(), 8).value();
    Channel<Ring> channel(8);
    {
        std::jthread sender([&] {
            for (std::uint64_t i = 0; i < rounds;) {
                auto buffer = pool.allocate(64 + i * 7 % 9000);
                if (!buffer) {
                    std::this_thread::yield();
                    continue;
                }
                std::fill(buffer->bytes().begin(), buffer->bytes().end(), static_cast<std::byte>(i));
                while (!send_zerocopy(channel.producer, std::move(*buffer))) std::this_thread::yield();
                ++i;
            }
        });
        auto peer = SharedMemoryPool<>::attach(memory.span()).value();
        for (std::uint64_t i = 0; i < rounds;) {
            const auto message = channel.consumer.recv();
            if (!message) {
                std::this_thread::yield();
                continue;
            }
            auto buffer = peer.accept(*message);
            ASSERT_TRUE(buffer) << describe(buffer.error());
            ASSERT_EQ(buffer->bytes().size(), 64 + i * 7 % 9000);
            for (const std::byte byte : buffer->bytes()) ASSERT_EQ(byte, static_cast<std::byte>(i));
            ++i;
        }
    }
    EXPECT_EQ(pool.free_pages(), 8u);
}

/// Both sides sleep whenever they may. Each side has a semaphore for its sleep; a lost wake-up hangs the
/// test.
template <class RingType>
void sleep_and_wake(std::uint64_t producers) {
    constexpr std::uint64_t each = 10'000;
    Channel<RingType> channel(4);
    std::counting_semaphore<1 << 20> wake_consumer(0);
    {
        std::vector<std::jthread> senders;
        for (std::uint64_t source = 0; source < producers; ++source) {
            senders.emplace_back([&, source] {
                typename RingType::Producer producer(channel.ring);
                for (std::uint64_t i = 0; i < each;) {
                    if (!producer.send(Stamped::of(source, i))) {
                        std::this_thread::yield();
                        continue;
                    }
                    ++i;
                    if (producer.must_notify()) wake_consumer.release();
                }
            });
        }
        std::uint64_t next[4] = {};
        for (std::uint64_t taken = 0; taken < each * producers;) {
            Stamped stamped;
            if (channel.consumer.recv(stamped)) {
                ASSERT_EQ(stamped, Stamped::of(stamped.source, next[stamped.source]++));
                ++taken;
            } else if (channel.consumer.prepare_sleep()) {
                ASSERT_TRUE(wake_consumer.try_acquire_for(std::chrono::seconds(30))) << "a wake-up was lost";
                channel.consumer.finish_sleep();
            }
        }
    }
}

TEST(StressWake, NoWakeUpOfOneProducerIsLost) {
    sleep_and_wake<Ring>(1);
}
TEST(StressWake, NoWakeUpOfManyProducersIsLost) {
    sleep_and_wake<ManyProducerRing>(3);
}

TEST(StressWake, ASleepingProducerIsWokenToo) {
    constexpr std::uint64_t count = 20'000;
    Channel<Ring> channel(4);
    std::counting_semaphore<1 << 20> wake_producer(0);
    std::jthread sender([&] {
        for (std::uint64_t i = 0; i < count;) {
            if (channel.producer.send(Stamped::of(0, i))) {
                ++i;
            } else if (channel.producer.prepare_sleep(2)) {
                ASSERT_TRUE(wake_producer.try_acquire_for(std::chrono::seconds(30))) << "a wake-up was lost";
                channel.producer.finish_sleep();
            }
        }
    });
    for (std::uint64_t i = 0; i < count;) {
        Stamped stamped;
        if (!channel.consumer.recv(stamped)) {
            std::this_thread::yield();
            continue;
        }
        ASSERT_EQ(stamped, Stamped::of(0, i++));
        if (channel.consumer.must_notify()) wake_producer.release();
    }
}

}  // namespace
}  // namespace exo::fusion::test
