// Pages that go from thread to thread: who owns them, and that none is ever lost.
#include "tests/unit/ipc/channel_fixture.h"

namespace exo::guest::test {
namespace {

constexpr std::uint32_t pages = 16;

template <class Kind>
class PagesTest : public ChannelTest<Kind> {
  protected:
    PageBuffer allocate(std::size_t bytes) {
        auto buffer = view.allocate(bytes);
        if (!buffer) std::abort();
        return std::move(*buffer);
    }

    PagePool pool = std::move(*PagePool::create(pages));
    PagePool::View view = pool.view();
};
TYPED_TEST_SUITE(PagesTest, Kinds, KindNames);

TYPED_TEST(PagesTest, AreNotCopied) {
    auto [sender, receiver] = this->template make<PageBuffer>(4, this->pool);
    PageBuffer buffer = this->allocate(5'000);
    std::memset(buffer.bytes().data(), 0x5a, 5'000);
    const std::byte* const where = buffer.bytes().data();
    ASSERT_TRUE(sender.send(std::move(buffer)));
    const auto received = receiver.receive();
    ASSERT_TRUE(received);
    EXPECT_EQ(received->bytes().data(), where);
    EXPECT_EQ(received->bytes().size(), 5'000U);
    EXPECT_EQ(received->bytes()[4'999], std::byte{0x5a});
    EXPECT_EQ(this->pool.free_pages(), pages - 2);
}

TYPED_TEST(PagesTest, WhatCouldNotBeSentStaysTheSenders) {
    auto [sender, receiver] = this->template make<PageBuffer>(2, this->pool);
    while (sender.try_send(this->allocate(1))) {
    }
    PageBuffer buffer = this->allocate(100);
    EXPECT_EQ(sender.try_send(std::move(buffer)).error(), ChannelError::full);
    EXPECT_EQ(buffer.bytes().size(), 100U);
    EXPECT_EQ(sender.send(std::move(buffer), in_ms(1)).error(), ChannelError::timed_out);
    EXPECT_EQ(buffer.bytes().size(), 100U);
    receiver.close();
    EXPECT_EQ(sender.send(std::move(buffer)).error(), ChannelError::closed);
    EXPECT_EQ(buffer.bytes().size(), 100U);
    EXPECT_EQ(this->pool.free_pages(), pages - 1);
}

TYPED_TEST(PagesTest, OfAnotherPoolAreRefused) {
    PagePool other = std::move(*PagePool::create(4));
    auto [sender, receiver] = this->template make<PageBuffer>(2, this->pool);
    auto buffer = other.view().allocate(1);
    ASSERT_TRUE(buffer);
    EXPECT_EQ(sender.send(std::move(*buffer)).error(), ChannelError::foreign);
    EXPECT_EQ(receiver.try_receive().error(), ChannelError::empty);
}

TYPED_TEST(PagesTest, ComeBackWhenNobodyReceivesThem) {
    {
        auto [sender, receiver] = this->template make<PageBuffer>(8, this->pool);
        for (int i = 0; i < 5; ++i) ASSERT_TRUE(sender.send(this->allocate(1)));
        ASSERT_TRUE(receiver.receive());
        receiver.close();
        EXPECT_EQ(this->pool.free_pages(), pages);  // at once, though the sender is still there
    }
    {
        auto channel = this->template make<PageBuffer>(8, this->pool);
        ASSERT_TRUE(channel.sender.send(this->allocate(1)));
        channel.sender.close();
        EXPECT_EQ(this->pool.free_pages(), pages - 1);
    }
    EXPECT_EQ(this->pool.free_pages(), pages);
}

/// A stream of buffers whose receiver leaves in the middle, at any moment: each page is free in the end.
TYPED_TEST(PagesTest, NoneIsLostWhenTheReceiverLeaves) {
    this->on_cpus({1, 2, 4}, [this](Scheduler& scheduler) {
        for (unsigned round = 0; round < 60; ++round) {
            auto [sender_end, receiver] = this->template make<PageBuffer>(4, this->pool);
            ThreadHandle source = must_spawn(scheduler, [this, sender = std::move(sender_end)]() mutable {
                PagePool::View mine = this->pool.view();
                while (true) {
                    auto buffer = mine.allocate(6'000);
                    if (!buffer) {
                        this_thread::yield();
                        continue;
                    }
                    std::memset(buffer->bytes().data(), 0x77, buffer->bytes().size());
                    const auto sent = sender.send(std::move(*buffer), arch::now_ns() + 30 * ns_per_us);
                    if (!sent && sent.error() == ChannelError::closed) return;
                }
            });
            for (unsigned i = 0; i < round; ++i) {
                const auto buffer = receiver.receive(patience());
                ASSERT_TRUE(buffer);
                ASSERT_EQ(buffer->bytes()[5'999], std::byte{0x77});
            }
            receiver.close();
            source.join();
            ASSERT_EQ(this->pool.free_pages(), pages) << "round " << round;
        }
    });
}

TYPED_TEST(PagesTest, ManyThreadsHandThemOn) {
    this->on_cpus({1, 4}, [this](Scheduler& scheduler) {
        auto channel = this->template make<PageBuffer, ManyToMany>(4, this->pool);
        std::atomic<unsigned> received = 0;
        std::vector<ThreadHandle> threads;
        for (unsigned i = 0; i < 3; ++i) {
            threads.push_back(must_spawn(scheduler, [this, i, s = auto(channel.sender)]() mutable {
                PagePool::View mine = this->pool.view();
                for (unsigned k = 0; k < 200;) {
                    auto buffer = mine.allocate(1 + k);
                    if (!buffer) {
                        this_thread::yield();
                        continue;
                    }
                    std::memset(buffer->bytes().data(), static_cast<int>(i), buffer->bytes().size());
                    ASSERT_TRUE(s.send(std::move(*buffer), patience()));
                    ++k;
                }
            }));
            threads.push_back(must_spawn(scheduler, [&received, r = auto(channel.receiver)]() mutable {
                while (const auto buffer = r.receive(patience())) {
                    for (const std::byte byte : buffer->bytes()) ASSERT_EQ(byte, buffer->bytes()[0]);
                    ++received;
                }
            }));
        }
        channel.sender.close();
        channel.receiver.close();
        threads.clear();
        EXPECT_EQ(received, 600U);
        EXPECT_EQ(this->pool.free_pages(), pages);
    });
}

}  // namespace
}  // namespace exo::guest::test
