// What a channel does, step by step and at full speed.
#include "tests/unit/ipc/channel_fixture.h"

namespace exo::guest::test {
namespace {

template <class Kind>
class BasicChannelTest : public ChannelTest<Kind> {};
TYPED_TEST_SUITE(BasicChannelTest, Kinds, KindNames);

TYPED_TEST(BasicChannelTest, MessagesComeInOrderUntilItIsFullAndThenEmpty) {
    auto [sender, receiver] = this->template make<std::uint64_t>(4);
    for (std::uint64_t i = 0; i < 4; ++i) ASSERT_TRUE(sender.try_send(i));
    EXPECT_EQ(sender.try_send(4).error(), ChannelError::full);
    for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(receiver.try_receive(), i);
    EXPECT_EQ(receiver.try_receive().error(), ChannelError::empty);
    EXPECT_TRUE(sender.try_send(5));
    EXPECT_EQ(receiver.try_receive(), 5U);
}

TYPED_TEST(BasicChannelTest, ImpossibleCapacitiesAreRefused) {
    using Small = typename TestFixture::template Channel<int>;
    EXPECT_FALSE(Small::create(0));
    EXPECT_FALSE(Small::create(fusion::max_capacity + 1));
    EXPECT_TRUE(Small::create(1));
    EXPECT_GE(Small::create(100)->sender.capacity(), 100U);
}

TYPED_TEST(BasicChannelTest, BytesKeepTheirLength) {
    auto [sender, receiver] = this->template make<ByteMessage>(64);
    std::array<std::byte, 57> bytes;
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i + 1);
    for (std::size_t size = 0; size <= 56; ++size) {
        ASSERT_TRUE(sender.try_send(std::span(bytes).first(size)));
        const auto message = receiver.try_receive();
        ASSERT_TRUE(message);
        EXPECT_TRUE(std::ranges::equal(message->bytes(), std::span(bytes).first(size))) << size;
    }
    EXPECT_EQ(sender.try_send(bytes).error(), ChannelError::too_large);
    EXPECT_EQ(receiver.try_receive().error(), ChannelError::empty);
}

TYPED_TEST(BasicChannelTest, BatchesAreCutToWhatFits) {
    auto [sender, receiver] = this->template make<std::uint32_t>(8);
    std::array<std::uint32_t, 12> values;
    std::iota(values.begin(), values.end(), 0U);
    EXPECT_EQ(sender.send_batch(values), 8U);
    std::array<std::uint32_t, 5> received{};
    EXPECT_EQ(receiver.receive_batch(received), 5U);
    EXPECT_EQ(received.back(), 4U);
    EXPECT_EQ(receiver.receive_batch(received), 3U);
    EXPECT_EQ(received[2], 7U);
    EXPECT_EQ(sender.send_batch({}), 0U);
    EXPECT_EQ(receiver.receive_batch({}), 0U);
}

TYPED_TEST(BasicChannelTest, ReceiversDrainThenSeeClosed) {
    auto [sender, receiver] = this->template make<int>(4);
    ASSERT_TRUE(sender.try_send(1));
    ASSERT_TRUE(sender.try_send(2));
    sender.close();
    EXPECT_FALSE(sender.is_open());
    EXPECT_EQ(sender.try_send(3).error(), ChannelError::closed);
    EXPECT_EQ(receiver.receive(), 1);
    EXPECT_EQ(receiver.try_receive(), 2);
    EXPECT_EQ(receiver.try_receive().error(), ChannelError::closed);
    EXPECT_EQ(receiver.receive().error(), ChannelError::closed);
}

TYPED_TEST(BasicChannelTest, SendersSeeThatNobodyReceives) {
    auto [sender, receiver] = this->template make<int>(4);
    ASSERT_TRUE(sender.try_send(1));
    receiver.close();
    EXPECT_EQ(sender.try_send(2).error(), ChannelError::closed);
    EXPECT_EQ(sender.send(2).error(), ChannelError::closed);
    EXPECT_EQ(sender.send_batch(std::array{1, 2}).error(), ChannelError::closed);
}

TYPED_TEST(BasicChannelTest, TheLastOfManyEndsCloses) {
    auto [sender, receiver] = this->template make<int, ManyToMany>(4);
    {
        const auto second_sender(sender);
        const auto second_receiver(receiver);
    }
    ASSERT_TRUE(sender.try_send(1));
    auto other(receiver);
    receiver.close();
    ASSERT_TRUE(sender.try_send(2));
    EXPECT_EQ(other.try_receive(), 1);
    sender.close();
    EXPECT_EQ(other.try_receive(), 2);
    EXPECT_EQ(other.try_receive().error(), ChannelError::closed);
}

template <class End>
constexpr bool is_move_only = std::is_move_constructible_v<End> && !std::is_copy_constructible_v<End>;
static_assert(is_move_only<Sender<int>> && is_move_only<Receiver<int>>);
static_assert(std::is_copy_constructible_v<Sender<int, ManyToOne>> && is_move_only<Receiver<int, ManyToOne>>);
static_assert(std::is_copy_constructible_v<Receiver<int, OneToMany>> && is_move_only<Sender<int, OneToMany>>);

template <class Kind>
class BlockingChannelTest : public ChannelTest<Kind> {};
TYPED_TEST_SUITE(BlockingChannelTest, Kinds, KindNames);

TYPED_TEST(BlockingChannelTest, PingPong) {
    this->on_cpus({1, 2}, [this](Scheduler& scheduler) {
        constexpr std::uint64_t rounds = 3'000;
        auto [ping_sender, ping_end] = this->template make<std::uint64_t>(2);
        auto [pong_sender_end, pong] = this->template make<std::uint64_t>(2);
        ThreadHandle echo = must_spawn(
            scheduler, [ping = std::move(ping_end), pong_sender = std::move(pong_sender_end)]() mutable {
                while (const auto value = ping.receive()) EXPECT_TRUE(pong_sender.send(*value + 1));
            });
        for (std::uint64_t i = 0; i < rounds; ++i) {
            ASSERT_TRUE(ping_sender.send(i));
            ASSERT_EQ(pong.receive(patience()), i + 1);
        }
        ping_sender.close();
        echo.join();
        EXPECT_EQ(pong.receive().error(), ChannelError::closed);
    });
}

/// Small and large capacities, singly and by batches: everything arrives, once, in order and whole.
TYPED_TEST(BlockingChannelTest, StreamArrivesWhole) {
    this->on_cpus({1, 2}, [this](Scheduler& scheduler) {
        for (const std::uint32_t capacity : {2U, 64U}) {
            constexpr std::uint64_t count = 20'000;
            auto [sender_end, receiver] = this->template make<Full>(capacity);
            ThreadHandle source = must_spawn(scheduler, [sender = std::move(sender_end)]() mutable {
                for (std::uint64_t i = 0; i < count;) {
                    std::array<Full, 3> batch;
                    for (std::uint64_t k = 0; k < batch.size(); ++k) batch[k] = Full::of(i + k);
                    const std::uint64_t wanted = std::min<std::uint64_t>(1 + i % 3, count - i);
                    if (wanted == 1) {
                        ASSERT_TRUE(sender.send(batch[0]));
                        ++i;
                    } else {
                        const auto sent = sender.send_batch(std::span(batch).first(wanted));
                        ASSERT_TRUE(sent);
                        i += *sent;
                    }
                }
            });
            std::uint64_t received = 0;
            std::array<Full, 5> batch;
            while (true) {
                const auto taken = receiver.receive_batch(batch, patience());
                if (!taken) {
                    EXPECT_EQ(taken.error(), ChannelError::closed);
                    break;
                }
                for (std::uint32_t i = 0; i < *taken; ++i) ASSERT_EQ(batch[i], Full::of(received++));
            }
            EXPECT_EQ(received, count);
        }
    });
}

template <class Channel>
void many_ends(Channel channel, Scheduler& scheduler, int senders, int receivers) {
    using Policy = typename Channel::Policy;
    constexpr std::uint64_t each = 2'000;
    std::atomic<std::uint64_t> sum = 0;
    std::atomic<std::uint64_t> count = 0;
    std::vector<ThreadHandle> threads;
    const auto send = [](auto sender, std::uint64_t who) {
        for (std::uint64_t i = 0; i < each; ++i) ASSERT_TRUE(sender.send(who * each + i, patience()));
    };
    const auto receive = [&](auto receiver) {
        std::array<std::uint64_t, 8> last{};
        while (true) {
            const auto value = receiver.receive(patience());
            if (!value) {
                EXPECT_EQ(value.error(), ChannelError::closed);
                return;
            }
            // What one sender sends, no receiver sees out of order.
            std::uint64_t& before = last[*value / each];
            EXPECT_GE(*value % each + 1, before);
            before = *value % each + 1;
            sum += *value;
            ++count;
        }
    };
    if constexpr (Policy::many_receivers)
        for (int i = 1; i < receivers; ++i)
            threads.push_back(
                must_spawn(scheduler, [&, r = auto(channel.receiver)]() mutable { receive(std::move(r)); }));
    threads.push_back(
        must_spawn(scheduler, [&, r = std::move(channel.receiver)]() mutable { receive(std::move(r)); }));
    if constexpr (Policy::many_senders)
        for (int i = 1; i < senders; ++i)
            threads.push_back(must_spawn(scheduler, [&, i, s = auto(channel.sender)]() mutable {
                send(std::move(s), static_cast<std::uint64_t>(i));
            }));
    threads.push_back(
        must_spawn(scheduler, [&, s = std::move(channel.sender)]() mutable { send(std::move(s), 0); }));
    threads.clear();
    const std::uint64_t messages = static_cast<std::uint64_t>(senders) * each;
    EXPECT_EQ(count, messages);
    EXPECT_EQ(sum, messages * (messages - 1) / 2);
}

TYPED_TEST(BlockingChannelTest, ManyToMany) {
    this->on_cpus({1, 2, 4}, [this](Scheduler& scheduler) {
        many_ends(this->template make<std::uint64_t, ManyToMany>(4), scheduler, 4, 3);
    });
}
TYPED_TEST(BlockingChannelTest, ManyToOne) {
    this->on_cpus({1, 3}, [this](Scheduler& scheduler) {
        many_ends(this->template make<std::uint64_t, ManyToOne>(4), scheduler, 4, 1);
    });
}
TYPED_TEST(BlockingChannelTest, OneToMany) {
    this->on_cpus({1, 3}, [this](Scheduler& scheduler) {
        many_ends(this->template make<std::uint64_t, OneToMany>(4), scheduler, 1, 4);
    });
}

TYPED_TEST(BlockingChannelTest, AFullChannelHoldsItsSenderBack) {
    this->on_cpus({1, 2}, [this](Scheduler& scheduler) {
        auto [sender_end, receiver] = this->template make<int>(2);
        std::atomic<int> sent = 0;
        ThreadHandle source = must_spawn(scheduler, [&sent, sender = std::move(sender_end)]() mutable {
            for (int i = 0; i < 6; ++i) {
                ASSERT_TRUE(sender.send(i));
                ++sent;
            }
        });
        this_thread::sleep_for(3 * ns_per_ms);
        EXPECT_EQ(sent, 2);
        EXPECT_EQ(receiver.receive(), 0);
        const std::uint64_t until = patience();
        while (sent < 3 && arch::now_ns() < until) this_thread::sleep_for(50 * ns_per_us);
        EXPECT_EQ(sent, 3);
        this_thread::sleep_for(2 * ns_per_ms);
        EXPECT_EQ(sent, 3);
        for (int i = 1; i < 6; ++i) EXPECT_EQ(receiver.receive(patience()), i);
        EXPECT_EQ(receiver.receive().error(), ChannelError::closed);
    });
}

TYPED_TEST(BlockingChannelTest, WaitsEndAtTheirDeadline) {
    this->on_cpus({1, 2}, [this](Scheduler&) {
        auto [sender, receiver] = this->template make<int>(2);
        std::uint64_t deadline = in_ms(2);
        EXPECT_EQ(receiver.receive(deadline).error(), ChannelError::timed_out);
        EXPECT_GE(arch::now_ns(), deadline);
        ASSERT_EQ(sender.send_batch(std::array{1, 2}), 2U);
        deadline = in_ms(2);
        EXPECT_EQ(sender.send(3, deadline).error(), ChannelError::timed_out);
        EXPECT_GE(arch::now_ns(), deadline);
        // Nothing is left behind: the next ones do as if nothing had been.
        EXPECT_EQ(receiver.receive(patience()), 1);
        EXPECT_TRUE(sender.send(3, patience()));
        EXPECT_EQ(receiver.receive(patience()), 2);
        EXPECT_EQ(receiver.receive(patience()), 3);
        EXPECT_EQ(receiver.receive(in_ms(0)).error(), ChannelError::timed_out);
    });
}

/// Both sides give up all the time, and still nothing is lost or comes twice.
TYPED_TEST(BlockingChannelTest, TimeoutsRaceWithMessages) {
    this->on_cpus({1, 2, 4}, [this](Scheduler& scheduler) {
        constexpr std::uint64_t count = 1'500;
        auto [sender_end, receiver] = this->template make<std::uint64_t>(2);
        ThreadHandle source = must_spawn(scheduler, [sender = std::move(sender_end)]() mutable {
            Random random(1);
            for (std::uint64_t i = 0; i < count;) {
                const auto sent = sender.send(i, arch::now_ns() + random.next() % 40 * ns_per_us);
                i += sent.has_value();
                if (!sent) ASSERT_EQ(sent.error(), ChannelError::timed_out);
                if (random.next() % 8 == 0) this_thread::sleep_for(random.next() % 40 * ns_per_us);
            }
        });
        Random random(2);
        for (std::uint64_t next = 0;;) {
            const auto value = receiver.receive(arch::now_ns() + random.next() % 40 * ns_per_us);
            if (value) {
                ASSERT_EQ(*value, next++);
            } else if (value.error() == ChannelError::closed) {
                EXPECT_EQ(next, count);
                break;
            } else {
                ASSERT_EQ(value.error(), ChannelError::timed_out);
            }
            if (random.next() % 8 == 0) this_thread::sleep_for(random.next() % 40 * ns_per_us);
        }
    });
}

/// Many threads that give up, and some that never do: a wake-up that went to one that gave up would be missed
/// by one that waits.
TYPED_TEST(BlockingChannelTest, ManyWithTimeoutsLoseNoWakeUp) {
    this->on_cpus({1, 4}, [this](Scheduler& scheduler) {
        constexpr std::uint64_t each = 400;
        constexpr std::uint64_t senders = 4;
        auto channel = this->template make<std::uint64_t, ManyToMany>(2);
        std::atomic<std::uint64_t> received = 0;
        std::atomic<std::uint64_t> lost = 0;
        std::vector<ThreadHandle> threads;
        for (unsigned who = 0; who < 4; ++who)
            threads.push_back(must_spawn(scheduler, [&, who, receiver = auto(channel.receiver)]() mutable {
                Random random(who + 10);
                while (true) {
                    const bool patient = who < 2;
                    const auto value =
                        receiver.receive(patient ? patience() : arch::now_ns() + random.next() % 20'000);
                    if (value) {
                        ++received;
                    } else if (value.error() == ChannelError::closed) {
                        return;
                    } else if (patient) {
                        ++lost;
                        return;
                    }
                }
            }));
        channel.receiver.close();
        for (unsigned who = 0; who < senders; ++who)
            threads.push_back(must_spawn(scheduler, [&, who, sender = auto(channel.sender)]() mutable {
                Random random(who + 20);
                for (std::uint64_t i = 0; i < each;) {
                    const bool patient = who < 2;
                    const auto sent =
                        sender.send(i, patient ? patience() : arch::now_ns() + random.next() % 20'000);
                    if (!sent && patient) ++lost;
                    i += sent.has_value() || patient;
                }
            }));
        channel.sender.close();
        threads.clear();
        EXPECT_EQ(lost, 0U);
        EXPECT_EQ(received, each * senders);
    });
}

TYPED_TEST(BlockingChannelTest, CloseRacesWithReceive) {
    this->on_cpus({1, 2, 4}, [this](Scheduler& scheduler) {
        for (unsigned round = 0; round < 150; ++round) {
            auto [sender_end, receiver] = this->template make<unsigned>(4);
            ThreadHandle source = must_spawn(scheduler, [round, sender = std::move(sender_end)]() mutable {
                Random random(round);
                for (unsigned i = 0; i < round % 5; ++i) ASSERT_TRUE(sender.send(i));
                for (unsigned i = random.next() % 300; i > 0; --i) arch::pause();
            });
            for (unsigned i = 0; i < round % 5; ++i) ASSERT_EQ(receiver.receive(patience()), i);
            ASSERT_EQ(receiver.receive(patience()).error(), ChannelError::closed);
        }
    });
}

TYPED_TEST(BlockingChannelTest, CloseRacesWithSend) {
    this->on_cpus({1, 2, 4}, [this](Scheduler& scheduler) {
        for (unsigned round = 0; round < 150; ++round) {
            auto [sender, receiver_end] = this->template make<unsigned>(2);
            ThreadHandle sink = must_spawn(scheduler, [round, receiver = std::move(receiver_end)]() mutable {
                Random random(round);
                for (unsigned i = 0; i < round % 5; ++i) ASSERT_EQ(receiver.receive(), i);
                for (unsigned i = random.next() % 300; i > 0; --i) arch::pause();
            });
            unsigned sent = 0;
            while (true) {
                const auto result = sender.send(sent, patience());
                if (!result) {
                    ASSERT_EQ(result.error(), ChannelError::closed);
                    break;
                }
                ++sent;
            }
            ASSERT_GE(sent, round % 5);
            ASSERT_LE(sent, round % 5 + 3);
        }
    });
}

/// Many ends that leave in the same moment: the one that destroys the channel is the last to touch it, its
/// lock included. ThreadSanitizer and AddressSanitizer see it when it is not.
TYPED_TEST(BlockingChannelTest, EndsLeaveTogetherAndOnlyTheLastDestroys) {
    this->on_cpus({2, 4}, [this](Scheduler& scheduler) {
        for (unsigned round = 0; round < 150; ++round) {
            auto channel = this->template make<unsigned, ManyToMany>(2);
            std::vector<ThreadHandle> threads;
            for (unsigned who = 0; who < 4; ++who)
                threads.push_back(must_spawn(scheduler, [receiver = auto(channel.receiver)]() mutable {
                    while (receiver.receive(patience())) {
                    }
                }));
            channel.receiver.close();
            channel.sender.close();  // and all of them leave
        }
    });
}

/// Chains of channels with room for little, where one wake-up lost stops everything.
TYPED_TEST(BlockingChannelTest, ARingOfThreadsKeepsTurning) {
    this->on_cpus({1, 2, 4}, [this](Scheduler& scheduler) {
        constexpr unsigned stations = 6;
        constexpr unsigned laps = 300;
        constexpr unsigned tokens = 4;
        std::vector<typename TestFixture::template Channel<unsigned>> channels;
        for (unsigned i = 0; i < stations; ++i) channels.push_back(this->template make<unsigned>(2));
        std::vector<ThreadHandle> threads;
        for (unsigned i = 0; i + 1 < stations; ++i)
            threads.push_back(must_spawn(scheduler, [i, receiver = std::move(channels[i].receiver),
                                                     sender = std::move(channels[i + 1].sender)]() mutable {
                while (const auto token = receiver.receive(patience()))
                    if (!sender.send(*token + 1, patience())) {
                        ADD_FAILURE() << "stuck at " << i;
                        return;
                    }
            }));
        auto sender = std::move(channels[0].sender);
        auto receiver = std::move(channels[stations - 1].receiver);
        for (unsigned i = 0; i < tokens; ++i) ASSERT_TRUE(sender.send(0U, patience()));
        for (unsigned i = 0; i < laps * tokens; ++i) {
            const auto token = receiver.receive(patience());
            ASSERT_TRUE(token) << "stuck in round " << i;
            ASSERT_TRUE(sender.send(*token, patience()));
        }
        unsigned sum = 0;
        sender.close();
        while (const auto token = receiver.receive(patience())) sum += *token;
        EXPECT_GE(sum, laps * tokens * (stations - 1));
        threads.clear();
    });
}

/// A channel whose other side is awake costs no scheduler call: neither side ever leaves its CPU.
TEST(FusionChannelTest, ABusyChannelDoesNotCallTheScheduler) {
    run_threads(1, [](Scheduler& scheduler) {
        auto channel = BasicChannel<FusionCore<std::uint64_t>>::create(64);
        ASSERT_TRUE(channel);
        const auto switches = [&] { return scheduler.cpu_info(0).counts.switches; };
        const auto wake_ups = [&] { return scheduler.cpu_info(0).counts.wake_ups; };
        const auto switches_before = switches();
        const auto wake_ups_before = wake_ups();
        for (std::uint64_t i = 0; i < 10'000; ++i) {
            ASSERT_TRUE(channel->sender.send(i));
            if (i % 40 == 39)
                for (std::uint64_t k = i - 39; k <= i; ++k) ASSERT_EQ(channel->receiver.receive(), k);
        }
        EXPECT_EQ(switches(), switches_before);
        EXPECT_EQ(wake_ups(), wake_ups_before);
    });
}

/// On one CPU a stream needs a switch for each time the ring fills or runs empty, not for each message,
/// unless the policy lets whoever is woken take over at once.
TEST(FusionChannelTest, AStreamOnOneCpuSwitchesOnceARing) {
    run_threads(
        1,
        [](Scheduler& scheduler) {
            constexpr std::uint64_t count = 64 * 200;
            auto channel = BasicChannel<FusionCore<std::uint64_t>>::create(64);
            ASSERT_TRUE(channel);
            const auto before = scheduler.cpu_info(0).counts.switches;
            ThreadHandle source = must_spawn(scheduler, [sender = std::move(channel->sender)]() mutable {
                for (std::uint64_t i = 0; i < count; ++i) ASSERT_TRUE(sender.send(i));
            });
            for (std::uint64_t i = 0; i < count; ++i) ASSERT_EQ(channel->receiver.receive(), i);
            source.join();
            EXPECT_LT(scheduler.cpu_info(0).counts.switches - before, count / 16);
        },
        PolicyKind::round_robin);
}

}  // namespace
}  // namespace exo::guest::test
