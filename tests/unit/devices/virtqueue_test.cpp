#include "vmm/devices/virtqueue.h"

#include <gtest/gtest.h>

#include "tests/unit/devices/raw_queue.h"

namespace exo::test {
namespace {

using vmm::DescriptorChain;
using vmm::QueueFault;
using vmm::Virtqueue;
namespace virtio = vmm::virtio;

constexpr std::uint16_t next = virtio::descriptor_next;
constexpr std::uint16_t write = virtio::descriptor_write;
constexpr std::uint16_t indirect = virtio::descriptor_indirect;
constexpr std::uint16_t size = 8;

class VirtqueueTest : public testing::Test {
  protected:
    void attach(std::uint64_t features = virtio::feature::indirect_descriptors) {
        auto made = Virtqueue::attach(ram.memory(), driver.setup(), features);
        ASSERT_TRUE(made) << describe(made.error());
        queue.emplace(*made);
    }
    QueueFault attach_fault(const vmm::VirtqueueSetup& setup) {
        const auto made = Virtqueue::attach(ram.memory(), setup, 0);
        return made ? QueueFault::none : made.error();
    }
    QueueFault fault_of_chain(std::uint16_t head = 0) {
        if (!queue) attach();
        driver.offer(head);
        EXPECT_FALSE(queue->pop(chain));
        EXPECT_FALSE(queue->pop(chain)) << "it goes on after a fault";
        return queue->fault();
    }

    GuestRam ram;
    RawQueue driver{ram, size};
    std::uint64_t buffer = ram.allocate(8 * 4096);
    std::optional<Virtqueue> queue;
    DescriptorChain chain;
};

TEST_F(VirtqueueTest, EmptyQueueHasNoChain) {
    attach();
    EXPECT_FALSE(queue->pop(chain));
    EXPECT_EQ(queue->fault(), QueueFault::none);
}

TEST_F(VirtqueueTest, ChainOfBuffersInOrder) {
    attach();
    driver.describe(3, buffer, 16, next, 5);
    driver.describe(5, buffer + 16, 100, next | write, 1);
    driver.describe(1, buffer + 4096, 1, write);
    driver.offer(3);
    ASSERT_TRUE(queue->pop(chain));
    EXPECT_EQ(chain.head, 3u);
    ASSERT_EQ(chain.readable.size(), 1u);
    ASSERT_EQ(chain.writable.size(), 2u);
    EXPECT_EQ(chain.readable[0].iov_base, ram.at(buffer));
    EXPECT_EQ(chain.readable[0].iov_len, 16u);
    EXPECT_EQ(chain.writable[0].iov_base, ram.at(buffer + 16));
    EXPECT_EQ(chain.writable[1].iov_len, 1u);
    EXPECT_FALSE(queue->pop(chain));
}

TEST_F(VirtqueueTest, IndirectTableAloneAndAfterDirectDescriptors) {
    attach();
    const std::uint64_t table = ram.allocate(4096);
    driver.describe_at(table, 0, buffer + 16, 512, next | write, 2);
    driver.describe_at(table, 2, buffer + 4096, 1, write);
    driver.describe(0, table, 3 * 16, indirect);
    driver.describe(1, buffer, 16, next, 0);
    driver.offer(0);
    ASSERT_TRUE(queue->pop(chain));
    EXPECT_EQ(chain.writable.size(), 2u);
    driver.offer(1);
    ASSERT_TRUE(queue->pop(chain));
    EXPECT_EQ(chain.readable.size(), 1u);
    EXPECT_EQ(chain.writable.size(), 2u);
}

TEST_F(VirtqueueTest, UsedEntriesAndIndicesWrapAround) {
    attach();
    driver.describe(2, buffer, 16, write);
    for (std::uint32_t i = 0; i < 70'000; ++i) {
        driver.offer(2);
        ASSERT_TRUE(queue->pop(chain)) << i;
        queue->push(chain.head, i);
        ASSERT_EQ(driver.used(), static_cast<std::uint16_t>(i + 1));
        ASSERT_EQ(driver.used_element(static_cast<std::uint16_t>(i)).id, 2u);
        ASSERT_EQ(driver.used_element(static_cast<std::uint16_t>(i)).length, i);
    }
}

TEST_F(VirtqueueTest, GoesOnFromAPosition) {
    attach();
    driver.describe(0, buffer, 16, write);
    for (int i = 0; i < 3; ++i) driver.offer(0);
    ASSERT_TRUE(queue->pop(chain));
    queue->push(0, 1);
    const auto position = queue->position();
    queue.reset();
    auto made = Virtqueue::attach(ram.memory(), driver.setup(), 0, position);
    ASSERT_TRUE(made);
    EXPECT_TRUE(made->pop(chain));
    EXPECT_TRUE(made->pop(chain));
    EXPECT_FALSE(made->pop(chain));
    made->push(0, 2);
    EXPECT_EQ(driver.used(), 2u);
}

TEST_F(VirtqueueTest, InterruptByFlags) {
    attach();
    EXPECT_FALSE(queue->interrupt_due()) << "nothing was pushed";
    queue->push(0, 0);
    EXPECT_TRUE(queue->interrupt_due());
    EXPECT_FALSE(queue->interrupt_due()) << "it was told already";
    driver.set_flags(virtio::available_no_interrupt);
    queue->push(0, 0);
    EXPECT_FALSE(queue->interrupt_due());
}

TEST_F(VirtqueueTest, InterruptByEventIndex) {
    attach(virtio::feature::event_index);
    driver.set_flags(virtio::available_no_interrupt);  // means nothing now
    driver.set_used_event(0);
    queue->push(0, 0);
    EXPECT_TRUE(queue->interrupt_due());
    driver.set_used_event(3);
    queue->push(0, 0);
    queue->push(0, 0);
    EXPECT_FALSE(queue->interrupt_due()) << "entry 3 is not there yet";
    queue->push(0, 0);
    EXPECT_TRUE(queue->interrupt_due());
    queue->push(0, 0);
    EXPECT_FALSE(queue->interrupt_due()) << "past the event";
}

TEST_F(VirtqueueTest, DoorbellsByFlags) {
    attach();
    queue->refuse_doorbells();
    EXPECT_EQ(driver.used_flags(), virtio::used_no_notify);
    EXPECT_TRUE(queue->ask_for_doorbell());
    EXPECT_EQ(driver.used_flags(), 0u);
    driver.describe(0, buffer, 1);
    driver.offer(0);
    EXPECT_FALSE(queue->ask_for_doorbell()) << "a chain came before the wish";
}

TEST_F(VirtqueueTest, DoorbellsByEventIndex) {
    attach(virtio::feature::event_index);
    driver.describe(0, buffer, 1);
    driver.offer(0);
    ASSERT_TRUE(queue->pop(chain));
    queue->refuse_doorbells();
    EXPECT_EQ(driver.used_flags(), 0u);
    EXPECT_TRUE(queue->ask_for_doorbell());
    EXPECT_EQ(driver.available_event(), 1u);
    driver.offer(0);
    EXPECT_FALSE(queue->ask_for_doorbell());
}

TEST_F(VirtqueueTest, DoorbellThatWasAskedForByEventIndexIsTakenBack) {
    attach(virtio::feature::event_index);
    driver.describe(0, buffer, 1);
    ASSERT_TRUE(queue->ask_for_doorbell());
    EXPECT_EQ(driver.available_event(), 0u);
    queue->refuse_doorbells();
    // The driver rings when the index passes the event (2.7.7.2), whatever it had looked at last.
    for (std::uint16_t added = 1; added <= 256; ++added) {
        const auto beyond = static_cast<std::uint16_t>(added - driver.available_event() - 1);
        EXPECT_GE(beyond, added) << added;
    }
    EXPECT_TRUE(queue->ask_for_doorbell());
    EXPECT_EQ(driver.available_event(), 0u);
}

TEST_F(VirtqueueTest, SetupThatIsNoQueue) {
    const auto good = driver.setup();
    EXPECT_EQ(attach_fault(good), QueueFault::none);
    for (const unsigned bad : {0u, 3u, 6u, 512u, 65535u}) {
        auto setup = good;
        setup.size = static_cast<std::uint16_t>(bad);
        EXPECT_EQ(attach_fault(setup), QueueFault::bad_size) << bad;
    }
    for (const std::uint64_t bad :
         {std::uint64_t{0}, ram.end(), ram.end() - 16, good.descriptors.value + 8, ~std::uint64_t{15}}) {
        auto setup = good;
        setup.descriptors = {bad};
        EXPECT_EQ(attach_fault(setup), QueueFault::bad_area) << bad;
    }
    auto setup = good;
    setup.driver_area = {good.driver_area.value + 1};
    EXPECT_EQ(attach_fault(setup), QueueFault::bad_area);
    setup = good;
    setup.driver_area = {ram.end() - 4 - 2 * size};
    EXPECT_EQ(attach_fault(setup), QueueFault::bad_area) << "no room for the event index";
    setup = good;
    setup.device_area = {good.device_area.value + 2};
    EXPECT_EQ(attach_fault(setup), QueueFault::bad_area);
    setup = good;
    setup.device_area = {ram.end() - 4 - 8 * size};
    EXPECT_EQ(attach_fault(setup), QueueFault::bad_area) << "no room for the event index";
}

TEST_F(VirtqueueTest, MoreChainsThanEntries) {
    attach();
    driver.set_available(size + 1);
    EXPECT_FALSE(queue->pop(chain));
    EXPECT_EQ(queue->fault(), QueueFault::index_jump);
}

TEST_F(VirtqueueTest, AsManyChainsAsEntriesAreFine) {
    attach();
    driver.describe(0, buffer, 1);
    driver.set_available(size);
    for (int i = 0; i < size; ++i) EXPECT_TRUE(queue->pop(chain));
    EXPECT_FALSE(queue->pop(chain));
    EXPECT_EQ(queue->fault(), QueueFault::none);
}

TEST_F(VirtqueueTest, HeadThatIsNoDescriptor) {
    EXPECT_EQ(fault_of_chain(size), QueueFault::bad_head);
}

TEST_F(VirtqueueTest, NextThatIsNoDescriptor) {
    driver.describe(0, buffer, 1, next, size);
    EXPECT_EQ(fault_of_chain(), QueueFault::bad_next);
}

TEST_F(VirtqueueTest, LoopOfDescriptors) {
    driver.describe(0, buffer, 1, next, 1);
    driver.describe(1, buffer, 1, next, 0);
    EXPECT_EQ(fault_of_chain(), QueueFault::endless_chain);
}

TEST_F(VirtqueueTest, LoopInAnIndirectTable) {
    driver.describe(0, buffer, 4 * 16, indirect);
    for (std::uint16_t i = 0; i < 4; ++i)
        driver.describe_at(buffer, i, buffer + 4096, 1, next, static_cast<std::uint16_t>((i + 1) % 4));
    EXPECT_EQ(fault_of_chain(), QueueFault::endless_chain);
}

TEST_F(VirtqueueTest, EmptyBuffer) {
    driver.describe(0, buffer, 0);
    EXPECT_EQ(fault_of_chain(), QueueFault::empty_buffer);
}

TEST_F(VirtqueueTest, ReadableAfterWritable) {
    driver.describe(0, buffer, 1, next | write, 1);
    driver.describe(1, buffer, 1);
    EXPECT_EQ(fault_of_chain(), QueueFault::read_after_write);
}

TEST_F(VirtqueueTest, AddressesOutsideOfMemory) {
    const std::pair<std::uint64_t, std::uint32_t> bad[] = {
        {0, 1},
        {ram.end(), 1},
        {ram.end() - 1, 2},
        {GuestRam::start - 1, 2},
        {~std::uint64_t{0}, 1},
        {~std::uint64_t{0} - 4095, 8192},
        {GuestRam::start, 0xffff'ffff},
    };
    for (const auto& [address, length] : bad) {
        queue.reset();
        attach();
        driver.set_available(0);
        driver.describe(0, address, length);
        EXPECT_EQ(fault_of_chain(), QueueFault::bad_address) << address << " " << length;
    }
}

TEST_F(VirtqueueTest, IndirectTablesThatAreNone) {
    struct Bad {
        std::uint64_t address;
        std::uint32_t length;
        std::uint16_t flags;
    };
    const Bad bad[] = {
        {buffer, 0, indirect},          {buffer, 24, indirect},        {buffer, 1025 * 16, indirect},
        {ram.end() - 16, 32, indirect}, {buffer, 16, indirect | next}, {0, 16, indirect},
    };
    for (const Bad& one : bad) {
        queue.reset();
        attach();
        driver.set_available(0);
        driver.describe_at(buffer, 0, buffer + 4096, 1);
        driver.describe(0, one.address, one.length, one.flags, 1);
        EXPECT_EQ(fault_of_chain(), QueueFault::bad_indirect) << one.address << " " << one.length;
    }
}

TEST_F(VirtqueueTest, IndirectTableWithinAnIndirectTable) {
    driver.describe_at(buffer, 0, buffer, 16, indirect);
    driver.describe(0, buffer, 16, indirect);
    EXPECT_EQ(fault_of_chain(), QueueFault::bad_indirect);
}

TEST_F(VirtqueueTest, IndirectTableThatWasNotNegotiated) {
    attach(0);
    driver.describe_at(buffer, 0, buffer + 4096, 1);
    driver.describe(0, buffer, 16, indirect);
    EXPECT_EQ(fault_of_chain(), QueueFault::bad_indirect);
}

TEST_F(VirtqueueTest, LongestChain) {
    attach();
    const std::uint64_t table = ram.allocate(1024 * 16);
    for (std::uint16_t i = 0; i < 1024; ++i)
        driver.describe_at(table, i, buffer, 1, i < 1023 ? next : 0, static_cast<std::uint16_t>(i + 1));
    driver.describe(0, table, 1024 * 16, indirect);
    driver.offer(0);
    ASSERT_TRUE(queue->pop(chain));
    EXPECT_EQ(chain.readable.size(), 1024u);
    driver.describe(1, buffer, 1, next, 0);
    EXPECT_EQ(fault_of_chain(1), QueueFault::endless_chain);
}

}  // namespace
}  // namespace exo::test
