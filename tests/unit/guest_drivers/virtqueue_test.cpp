#include "guest/drivers/virtio/virtqueue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/unit/guest_drivers/fake_machine.h"

namespace exo::guest::test {
namespace {

struct Descriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t flags;
    std::uint16_t next;
};

/// What one side rings and the other sleeps on. A ring that comes before the sleep is not lost; one that
/// never comes ends the test.
class Bell {
  public:
    void ring() {
        {
            const std::lock_guard lock(mutex_);
            ++count_;
        }
        changed_.notify_one();
    }
    std::uint64_t count() {
        const std::lock_guard lock(mutex_);
        return count_;
    }
    bool wait(std::uint64_t seen) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return count_ != seen; });
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::uint64_t count_ = 0;
};

/// The device's side of a queue, on a thread of its own: copies the first buffer of a chain into the second.
class CopyDevice {
  public:
    CopyDevice(FakeMachine& machine, const Virtqueue& queue, bool event_index)
        : size_(queue.size()),
          event_index_(event_index),
          descriptors_(at<Descriptor>(machine, queue.descriptor_area())),
          avail_(at<std::uint16_t>(machine, queue.driver_area())),
          used_(at<std::uint16_t>(machine, queue.device_area())),
          thread_([this] { run(); }) {}
    ~CopyDevice() {
        stop_ = true;
        doorbell.ring();
        thread_.join();
    }
    CopyDevice(const CopyDevice&) = delete;
    CopyDevice& operator=(const CopyDevice&) = delete;

    Bell doorbell;
    Bell interrupt;
    std::atomic<bool> starved = false;

  private:
    template <typename T>
    static T* at(FakeMachine& machine, std::uint64_t physical) {
        return reinterpret_cast<T*>(machine.host(physical, sizeof(T)));
    }
    static std::uint16_t load(std::uint16_t& word) { return std::atomic_ref(word).load(); }
    static void store(std::uint16_t& word, std::uint16_t value) { std::atomic_ref(word).store(value); }
    std::uint16_t& used_event() { return avail_[2 + size_]; }
    std::uint16_t& avail_event() { return used_[2 + 4 * size_]; }

    void run() {
        while (!stop_) {
            const std::uint64_t rung = doorbell.count();
            if (load(avail_[1]) == taken_) {
                if (event_index_)
                    store(avail_event(), taken_);
                else
                    store(used_[0], 0);
                if (load(avail_[1]) == taken_ && !stop_ && !doorbell.wait(rung)) starved = true;
                if (starved) return;
                if (!event_index_) store(used_[0], 1);
                continue;
            }
            serve(avail_[2 + taken_++ % size_]);
        }
    }

    void serve(std::uint16_t head) {
        const Descriptor& from = descriptors_[head];
        const Descriptor& to = descriptors_[from.next];
        std::memcpy(reinterpret_cast<void*>(to.address), reinterpret_cast<const void*>(from.address),
                    from.length);
        std::uint32_t element[2] = {head, from.length};
        std::memcpy(&used_[2 + 4 * (done_ % size_)], element, sizeof element);
        const std::uint16_t before = done_++;
        store(used_[1], done_);
        const bool wanted = event_index_ ? load(used_event()) == before : (load(avail_[0]) & 1) == 0;
        if (wanted) interrupt.ring();
    }

    std::uint16_t size_;
    bool event_index_;
    Descriptor* descriptors_;
    std::uint16_t* avail_;
    std::uint16_t* used_;
    std::uint16_t taken_ = 0;
    std::uint16_t done_ = 0;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

class VirtqueueTest : public testing::TestWithParam<bool> {};

/// More chains than the indices can count, through a small queue, with both sides going to sleep and waking
/// each other: nothing is lost, doubled or mixed up.
TEST_P(VirtqueueTest, TwoThreadsLoseNothing) {
    constexpr std::uint64_t total = 70'000;
    FakeMachine machine;
    auto queue = Virtqueue::create(machine, 8, GetParam());
    ASSERT_TRUE(queue);
    struct Pair {
        std::uint64_t in = 0;
        std::uint64_t out = 0;
    };
    std::vector<Pair> pairs(8);
    CopyDevice device(machine, *queue, GetParam());
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    while (received < total) {
        bool pushed = false;
        while (sent < total && queue->free_descriptors() >= 2) {
            Pair& pair = pairs[queue->next_head()];
            pair = {sent++, 0};
            const Virtqueue::Element elements[] = {{reinterpret_cast<std::uint64_t>(&pair.in), 8, false},
                                                   {reinterpret_cast<std::uint64_t>(&pair.out), 8, true}};
            ASSERT_TRUE(queue->push(elements));
            pushed = true;
        }
        if (pushed && queue->publish()) device.doorbell.ring();
        const std::uint64_t seen = device.interrupt.count();
        if (queue->enable_interrupts()) ASSERT_TRUE(device.interrupt.wait(seen)) << "an interrupt was lost";
        queue->disable_interrupts();
        for (;;) {
            const auto used = queue->pop();
            ASSERT_TRUE(used);
            if (!*used) break;
            ASSERT_EQ(8u, (*used)->written);
            ASSERT_EQ(received++, pairs[(*used)->head].out);
        }
    }
    EXPECT_FALSE(device.starved) << "a doorbell was lost";
}

INSTANTIATE_TEST_SUITE_P(EventIndex, VirtqueueTest, testing::Bool());

TEST(Virtqueue, RefusesSizesThatItCannotKeepBooksFor) {
    FakeMachine machine;
    for (const std::uint16_t size : std::initializer_list<std::uint16_t>{0, 3, 512, 0x8000})
        EXPECT_FALSE(Virtqueue::create(machine, size, true));
    EXPECT_TRUE(Virtqueue::create(machine, 256, true));
    EXPECT_TRUE(Virtqueue::create(machine, 1, false));
}

TEST(Virtqueue, TakesAChainOnlyWhole) {
    FakeMachine machine;
    auto queue = *Virtqueue::create(machine, 4, true);
    const Virtqueue::Element elements[5] = {};
    EXPECT_FALSE(queue.push(elements));
    EXPECT_FALSE(queue.push({}));
    EXPECT_TRUE(queue.push(std::span(elements).first(3)));
    EXPECT_FALSE(queue.push(std::span(elements).first(2)));
    EXPECT_EQ(1u, queue.free_descriptors());
    queue.reset();
    EXPECT_EQ(4u, queue.free_descriptors());
    EXPECT_TRUE(queue.push(std::span(elements).first(4)));
}

/// The device's two areas of a queue of four, written by hand.
struct HandWritten : testing::Test {
    FakeMachine machine;
    Virtqueue queue = *Virtqueue::create(machine, 4, false);
    std::uint16_t* used = reinterpret_cast<std::uint16_t*>(machine.host(queue.device_area(), 2));
    static constexpr Virtqueue::Element elements[2] = {};

    void give_back(std::uint16_t slot, std::uint32_t id) { std::memcpy(&used[2 + 4 * slot], &id, 4); }
};

TEST_F(HandWritten, AnIndexBeyondWhatWasGivenIsAnErrorAtOnce) {
    const auto first = queue.push(elements);
    const auto second = queue.push(elements);
    ASSERT_TRUE(first && second);
    queue.publish();
    give_back(0, *first);
    give_back(1, *second);
    used[1] = 3;
    EXPECT_FALSE(queue.pop()) << "two chains cannot have come back three times";
    used[1] = 1;
    const auto popped = queue.pop();
    ASSERT_TRUE(popped && *popped);
    EXPECT_EQ(*first, (*popped)->head);
    used[1] = 0;
    EXPECT_FALSE(queue.pop()) << "an index does not go back";
}

TEST_F(HandWritten, AChainThatWasPushedButNotHeadedIsNoChain) {
    const auto first = queue.push(elements);
    queue.publish();
    give_back(0, (*first + 1u) % 4);
    used[1] = 1;
    EXPECT_FALSE(queue.pop()) << "the second descriptor of a chain is not a chain";
}

}  // namespace
}  // namespace exo::guest::test
