#include "tests/unit/ipc/channel_fixture.h"

namespace exo::guest::test {
namespace {

template <class Kind>
class SelectTest : public ChannelTest<Kind> {};
TYPED_TEST_SUITE(SelectTest, Kinds, KindNames);

TYPED_TEST(SelectTest, NamesWhatIsReady) {
    auto a = this->template make<int>(2);
    auto b = this->template make<std::uint64_t>(2);
    Select select(a.receiver, b.receiver, a.sender);
    EXPECT_EQ(select.wait(no_wait), 2U);  // there is room
    select.disable(2);
    EXPECT_EQ(select.wait(no_wait).error(), ChannelError::timed_out);
    ASSERT_TRUE(b.sender.send(5));
    EXPECT_EQ(select.wait(), 1U);
    EXPECT_EQ(b.receiver.try_receive(), 5U);
    ASSERT_EQ(a.sender.send_batch(std::array{1, 2}), 2U);
    select.enable(2);
    EXPECT_EQ(select.wait(), 0U);  // no room any more
}

TYPED_TEST(SelectTest, ClosedIsReadyUntilDisabled) {
    auto a = this->template make<int>(2);
    auto b = this->template make<int>(2);
    Select select(a.receiver, b.receiver);
    b.sender.close();
    EXPECT_EQ(select.wait(), 1U);
    EXPECT_EQ(b.receiver.try_receive().error(), ChannelError::closed);
    select.disable(1);
    EXPECT_EQ(select.wait(no_wait).error(), ChannelError::timed_out);
    select.disable(0);
    EXPECT_EQ(select.wait().error(), ChannelError::closed);
}

/// Whoever is always ready does not keep the others out.
TYPED_TEST(SelectTest, IsFair) {
    auto a = this->template make<int>(64);
    auto b = this->template make<int>(64);
    auto c = this->template make<int>(64);
    for (int i = 0; i < 30; ++i)
        for (auto* channel : {&a, &b, &c}) ASSERT_TRUE(channel->sender.send(i));
    Select select(a.receiver, b.receiver, c.receiver);
    std::array<int, 3> named{};
    for (int i = 0; i < 30; ++i) {
        const auto which = select.wait();
        ASSERT_TRUE(which);
        ++named[*which];
        ASSERT_TRUE((*which == 0 ? a : *which == 1 ? b : c).receiver.try_receive());
    }
    EXPECT_EQ(named, (std::array{10, 10, 10}));
}

TYPED_TEST(SelectTest, EndsAtItsDeadlineAndLeavesNothingBehind) {
    this->on_cpus({1, 2}, [this](Scheduler&) {
        auto a = this->template make<int>(2);
        auto b = this->template make<int>(2);
        {
            Select select(a.receiver, b.receiver);
            const std::uint64_t deadline = in_ms(2);
            EXPECT_EQ(select.wait(deadline).error(), ChannelError::timed_out);
            EXPECT_GE(arch::now_ns(), deadline);
        }
        ASSERT_TRUE(a.sender.send(1));
        EXPECT_EQ(a.receiver.receive(patience()), 1);
    });
}

TYPED_TEST(SelectTest, SleepsUntilOneOfThemIsReadyAndUntilAllAreClosed) {
    this->on_cpus({1, 2, 4}, [this](Scheduler& scheduler) {
        constexpr std::uint64_t each = 1'000;
        constexpr std::size_t sources = 3;
        std::vector<typename TestFixture::template Channel<std::uint64_t>> channels;
        for (std::size_t i = 0; i < sources; ++i) channels.push_back(this->template make<std::uint64_t>(2));
        std::vector<ThreadHandle> threads;
        for (std::size_t i = 0; i < sources; ++i)
            threads.push_back(must_spawn(scheduler, [i, sender = std::move(channels[i].sender)]() mutable {
                Random random(static_cast<std::uint32_t>(i));
                for (std::uint64_t k = 0; k < each; ++k) {
                    ASSERT_TRUE(sender.send(k, patience()));
                    if (random.next() % 64 == 0) this_thread::sleep_for(random.next() % 50 * ns_per_us);
                }
            }));
        Select select(channels[0].receiver, channels[1].receiver, channels[2].receiver);
        std::array<std::uint64_t, sources> next{};
        while (true) {
            const auto which = select.wait(patience());
            if (!which) {
                EXPECT_EQ(which.error(), ChannelError::closed);
                break;
            }
            const auto value = channels[*which].receiver.try_receive();
            if (value) {
                ASSERT_EQ(*value, next[*which]++);
            } else {
                ASSERT_EQ(value.error(), ChannelError::closed);
                select.disable(*which);
            }
        }
        EXPECT_EQ(next, (std::array{each, each, each}));
    });
}

/// Threads that wait for two channels each, beside others that wait for one of them: a wake-up that a
/// selecting thread was given for one channel is not lost when the other one is ready too.
TYPED_TEST(SelectTest, SharedChannelsLoseNoWakeUp) {
    this->on_cpus({1, 2, 4}, [this](Scheduler& scheduler) {
        constexpr std::uint64_t each = 1'500;
        auto a = this->template make<std::uint64_t, ManyToMany>(2);
        auto b = this->template make<std::uint64_t, ManyToMany>(2);
        std::atomic<std::uint64_t> received = 0;
        std::vector<ThreadHandle> threads;
        for (int i = 0; i < 2; ++i)
            threads.push_back(
                must_spawn(scheduler, [&, ra = auto(a.receiver), rb = auto(b.receiver)]() mutable {
                    Select select(ra, rb);
                    while (true) {
                        const auto which = select.wait(patience());
                        if (!which) {
                            EXPECT_EQ(which.error(), ChannelError::closed);
                            return;
                        }
                        const auto value = (*which == 0 ? ra : rb).try_receive();
                        if (value) ++received;
                        if (!value && value.error() == ChannelError::closed) select.disable(*which);
                    }
                }));
        for (auto* channel : {&a, &b})
            threads.push_back(must_spawn(scheduler, [&, r = auto(channel->receiver)]() mutable {
                while (true) {
                    const auto value = r.receive(patience());
                    if (!value) {
                        EXPECT_EQ(value.error(), ChannelError::closed);
                        return;
                    }
                    ++received;
                }
            }));
        for (auto* channel : {&a, &b})
            for (int i = 0; i < 2; ++i)
                threads.push_back(must_spawn(scheduler, [s = auto(channel->sender)]() mutable {
                    for (std::uint64_t k = 0; k < each; ++k) ASSERT_TRUE(s.send(k, patience()));
                }));
        for (auto* channel : {&a, &b}) {
            channel->sender.close();
            channel->receiver.close();
        }
        threads.clear();
        EXPECT_EQ(received, 4 * each);
    });
}

TYPED_TEST(SelectTest, WaitsForRoomToo) {
    this->on_cpus({1, 2}, [this](Scheduler& scheduler) {
        auto a = this->template make<int>(2);
        auto b = this->template make<int>(2);
        ASSERT_EQ(a.sender.send_batch(std::array{1, 2}), 2U);
        ThreadHandle sink = must_spawn(scheduler, [receiver = std::move(a.receiver)]() mutable {
            this_thread::sleep_for(ns_per_ms);
            EXPECT_EQ(receiver.receive(), 1);
            EXPECT_EQ(receiver.receive(), 2);
            EXPECT_EQ(receiver.receive(patience()), 3);
        });
        Select select(b.receiver, a.sender);
        EXPECT_EQ(select.wait(patience()), 1U);
        EXPECT_TRUE(a.sender.try_send(3));
        sink.join();
        EXPECT_EQ(select.wait(patience()), 1U);  // nobody receives any more
        EXPECT_EQ(a.sender.try_send(4).error(), ChannelError::closed);
    });
}

}  // namespace
}  // namespace exo::guest::test
