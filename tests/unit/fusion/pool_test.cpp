// Pages that change hands by descriptor.
#include "shared/fusion/pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <vector>

#include "ring_memory.h"

namespace exo::fusion::test {
namespace {

using Pool = SharedMemoryPool<>;

class PoolTest : public testing::Test {
  protected:
    static constexpr std::uint32_t pages = 8;

    RingMemory memory{pool_bytes(pages)};
    Pool pool = Pool::format(memory.span(), pages).value();
    Pool peer = Pool::attach(memory.span()).value();
    Channel<Ring> channel{4};
};

TEST_F(PoolTest, AllocatesDescribesAndFrees) {
    {
        auto buffer = pool.allocate(100);
        ASSERT_TRUE(buffer);
        EXPECT_EQ(buffer->bytes().size(), 100u);
        EXPECT_EQ(buffer->descriptor().page_count, 1u);
        EXPECT_EQ(buffer->descriptor().length, 100u);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer->bytes().data()) % pool_page_size, 0u);
        EXPECT_EQ(pool.free_pages(), pages - 1);
    }
    EXPECT_EQ(pool.free_pages(), pages);
}

TEST_F(PoolTest, RunsAreContiguousAndDisjoint) {
    auto first = pool.allocate(3 * pool_page_size);
    auto second = pool.allocate(2 * pool_page_size + 1);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(second->descriptor().page_count, 3u);
    EXPECT_EQ(pool.free_pages(), 2u);
    std::memset(first->bytes().data(), 1, first->bytes().size());
    std::memset(second->bytes().data(), 2, second->bytes().size());
    EXPECT_EQ(first->bytes().back(), std::byte{1});
    EXPECT_EQ(second->bytes().front(), std::byte{2});
}

TEST_F(PoolTest, SaysWhenARunIsTooLongOrNotThere) {
    EXPECT_EQ(pool.allocate(0).error(), SendError::too_large);
    EXPECT_EQ(pool.allocate(pages * pool_page_size + 1).error(), SendError::too_large);
    auto all = pool.allocate(pages * pool_page_size);
    ASSERT_TRUE(all);
    EXPECT_EQ(pool.allocate(1).error(), SendError::no_pages);
}

TEST_F(PoolTest, FindsEveryHoleThatIsLargeEnough) {
    // Leave each hole of each length in turn, with the search starting anywhere.
    for (std::uint32_t start = 0; start < pages; ++start) {
        for (std::uint32_t length = 1; start + length <= pages; ++length) {
            for (std::uint32_t turn = 0; turn < pages; ++turn) {
                std::vector<Pool::Buffer> taken;
                for (std::uint32_t i = 0; i < pages; ++i) taken.push_back(pool.allocate(1).value());
                std::vector<Pool::Buffer> kept;
                for (auto& buffer : taken) {
                    const std::uint32_t page = buffer.descriptor().first_page;
                    if (page < start || page >= start + length) kept.push_back(std::move(buffer));
                }
                taken.clear();
                for (std::uint32_t i = 0; i < turn; ++i) static_cast<void>(pool.allocate(1));
                auto found = pool.allocate(length * pool_page_size);
                ASSERT_TRUE(found) << start << " " << length << " " << turn;
                EXPECT_EQ(found->descriptor().first_page, start);
                EXPECT_EQ(pool.allocate(1).error(), SendError::no_pages);
            }
            ASSERT_EQ(pool.free_pages(), pages);
        }
    }
}

TEST_F(PoolTest, ZeroCopyHandsThePagesOver) {
    auto buffer = pool.allocate(5000);
    ASSERT_TRUE(buffer);
    std::memset(buffer->bytes().data(), 0x5a, 5000);
    ASSERT_TRUE(send_zerocopy(channel.producer, std::move(*buffer), 9));
    const auto message = channel.consumer.recv();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->flags, 9);
    {
        auto received = peer.accept(*message);
        ASSERT_TRUE(received);
        EXPECT_EQ(received->bytes().size(), 5000u);
        EXPECT_EQ(received->bytes()[4999], std::byte{0x5a});
        EXPECT_EQ(pool.free_pages(), pages - 2);
    }
    EXPECT_EQ(pool.free_pages(), pages);
}

TEST_F(PoolTest, ZeroCopyIntoAFullRingKeepsTheBuffer) {
    for (std::uint32_t i = 0; i < 4; ++i) ASSERT_TRUE(channel.producer.send(i));
    auto buffer = pool.allocate(10);
    ASSERT_TRUE(buffer);
    EXPECT_EQ(send_zerocopy(channel.producer, std::move(*buffer)).error(), SendError::full);
    EXPECT_EQ(buffer->bytes().size(), 10u);
    EXPECT_EQ(pool.free_pages(), pages - 1);
}

TEST_F(PoolTest, SendWithPoolCopiesAndSends) {
    std::vector<std::byte> data(9000, std::byte{7});
    ASSERT_TRUE(send_with_pool(channel.producer, pool, data));
    const auto message = channel.consumer.recv();
    ASSERT_TRUE(message);
    auto received = peer.accept(*message);
    ASSERT_TRUE(received);
    EXPECT_TRUE(std::equal(data.begin(), data.end(), received->bytes().begin(), received->bytes().end()));
}

TEST_F(PoolTest, SendWithPoolLeaksNothingOnFailure) {
    const std::vector<std::byte> data(pool_page_size * 2);
    for (std::uint32_t i = 0; i < 4; ++i) ASSERT_TRUE(channel.producer.send(i));
    EXPECT_EQ(send_with_pool(channel.producer, pool, data).error(), SendError::full);
    EXPECT_EQ(pool.free_pages(), pages);

    std::uint32_t value;
    ASSERT_TRUE(channel.consumer.recv(value));
    const auto most = pool.allocate(7 * pool_page_size);
    EXPECT_EQ(send_with_pool(channel.producer, pool, data).error(), SendError::no_pages);
    EXPECT_EQ(send_with_pool(channel.producer, pool, std::vector<std::byte>(1 << 20)).error(),
              SendError::too_large);
    EXPECT_EQ(pool.free_pages(), 1u);
    EXPECT_EQ(channel.producer.free_slots(4), 1u);  // and nothing was sent
}

TEST_F(PoolTest, ADescriptorIsGoodForOneAcceptance) {
    auto buffer = pool.allocate(10);
    ASSERT_TRUE(buffer);
    const PageDescriptor copy = buffer->descriptor();
    ASSERT_TRUE(send_zerocopy(channel.producer, std::move(*buffer)));
    ASSERT_TRUE(channel.producer.send(copy, 0, Kind::shared_memory));
    auto received = peer.accept(*channel.consumer.recv());
    ASSERT_TRUE(received);
    const auto again = *channel.consumer.recv();
    EXPECT_EQ(peer.accept(again).error(), PoolError::not_held);

    received = pool.allocate(10).value();            // the first one goes back
    for (std::uint32_t i = 0; i < 2 * pages; ++i) {  // its page is allocated again: another generation
        auto other = pool.allocate(10);
        ASSERT_TRUE(other);
        EXPECT_EQ(peer.accept(again).error(), PoolError::not_held);
    }
}

TEST_F(PoolTest, HostileDescriptorsAreRefused) {
    auto buffer = pool.allocate(2 * pool_page_size);
    ASSERT_TRUE(buffer);
    const PageDescriptor good = buffer->descriptor();
    const auto accept = [&](PageDescriptor run, Kind kind = Kind::shared_memory) {
        EXPECT_TRUE(channel.producer.send(run, 0, kind));
        return peer.accept(*channel.consumer.recv()).error();
    };
    const auto changed = [&](auto member, auto value) {
        PageDescriptor run = good;
        run.*member = static_cast<std::remove_reference_t<decltype(run.*member)>>(value);
        return run;
    };
    EXPECT_EQ(accept(good, Kind::inline_data), PoolError::no_descriptor);
    EXPECT_EQ(accept(changed(&PageDescriptor::first_page, pages)), PoolError::out_of_range);
    EXPECT_EQ(accept(changed(&PageDescriptor::first_page, 0xffff'ffff)), PoolError::out_of_range);
    EXPECT_EQ(accept(changed(&PageDescriptor::page_count, 0)), PoolError::out_of_range);
    EXPECT_EQ(accept(changed(&PageDescriptor::page_count, pages + 1)), PoolError::out_of_range);
    EXPECT_EQ(accept(changed(&PageDescriptor::page_count, 0xffff'ffff)), PoolError::out_of_range);
    EXPECT_EQ(accept(changed(&PageDescriptor::length, 0)), PoolError::out_of_range);
    EXPECT_EQ(accept(changed(&PageDescriptor::length, 2 * pool_page_size + 1)), PoolError::out_of_range);
    EXPECT_EQ(accept(changed(&PageDescriptor::page_count, 3)), PoolError::not_held);
    EXPECT_EQ(accept(changed(&PageDescriptor::first_page, good.first_page + 1)), PoolError::not_held);
    EXPECT_EQ(accept(changed(&PageDescriptor::generation, good.generation + 1)), PoolError::not_held);
    EXPECT_EQ(pool.free_pages(), pages - 2);
}

TEST_F(PoolTest, MovingABufferMovesItsPages) {
    std::optional<Pool::Buffer> outer;
    {
        auto buffer = pool.allocate(1);
        ASSERT_TRUE(buffer);
        outer.emplace(std::move(*buffer));
    }
    EXPECT_EQ(pool.free_pages(), pages - 1);
    *outer = pool.allocate(2 * pool_page_size).value();
    EXPECT_EQ(pool.free_pages(), pages - 2);
    outer.reset();
    EXPECT_EQ(pool.free_pages(), pages);
}

TEST(PoolPlacement, RefusesWhatIsNoPool) {
    const RingMemory memory(pool_bytes(8));
    EXPECT_EQ(Pool::attach(memory.span()).error(), PoolError::bad_magic);
    EXPECT_EQ(Pool::format(memory.span(), 0).error(), PoolError::bad_page_count);
    EXPECT_EQ(Pool::format(memory.span(), 0xffff'ffff).error(), PoolError::bad_page_count);
    EXPECT_EQ(Pool::format(memory.span(), 9).error(), PoolError::too_small);
    EXPECT_EQ(Pool::format(memory.span().subspan(64), 1).error(), PoolError::misaligned);
    EXPECT_EQ(Pool::attach(memory.span().first(4096)).error(), PoolError::too_small);

    ASSERT_TRUE(Pool::format(memory.span(), 8));
    auto& header = *reinterpret_cast<PoolHeader*>(memory.span().data());
    header.page_count = 9;
    EXPECT_EQ(Pool::attach(memory.span()).error(), PoolError::too_small);
    header.page_count = 0xffff'ffff;
    EXPECT_EQ(Pool::attach(memory.span()).error(), PoolError::bad_page_count);
    header.version = 2;
    EXPECT_EQ(Pool::attach(memory.span()).error(), PoolError::wrong_version);
}

}  // namespace
}  // namespace exo::fusion::test
