#include "vmm/devices/device_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/unit/devices/device_fixture.h"

namespace exo::test {
namespace {

using namespace std::chrono_literals;
using block::Operation;

/// On this clock each look at it takes a microsecond, and nothing else takes any time: what a thread does by
/// it does not depend on who else has the host's CPUs.
class LookClock final : public vmm::Clock {
  public:
    std::chrono::nanoseconds now() const override { return std::chrono::microseconds(++looks_); }
    std::chrono::system_clock::time_point wall() const override { return {}; }

  private:
    mutable std::atomic<std::int64_t> looks_ = 0;
};

class DeviceThreadTest : public DeviceFixture {
  protected:
    explicit DeviceThreadTest(std::optional<std::chrono::nanoseconds> poll_cap = std::nullopt)
        : thread(std::move(
              *vmm::DeviceThread::create(*device, system_clock, "disk-under-test", pollers, poll_cap))) {
        buffer = ram.allocate(4096);
    }

    template <typename Condition>
    static bool eventually(Condition condition) {
        for (int i = 0; i < 10'000; ++i) {
            if (condition()) return true;
            if (i < 1'000) {
                std::this_thread::yield();
            } else {
                std::this_thread::sleep_for(1ms);
            }
        }
        return false;
    }
    bool submit_and_reap(std::uint32_t tag) {
        if (driver.submit(RawDriver::transfer(Operation::read, tag, 0, buffer))) driver.doorbell();
        std::optional<block::Completion> completion;
        return eventually([&] { return (completion = driver.reap()).has_value(); }) && completion->tag == tag;
    }

    vmm::SystemClock system_clock;
    vmm::Pollers pollers{2, 1};
    std::unique_ptr<vmm::DeviceThread> thread;
    std::uint64_t buffer = 0;
};

TEST_F(DeviceThreadTest, ServesDoorbells) {
    ASSERT_TRUE(thread->start());
    driver.set_up();
    for (std::uint32_t tag = 0; tag < 100; ++tag) ASSERT_TRUE(submit_and_reap(tag)) << tag;
}

TEST_F(DeviceThreadTest, TakesWhatWasSubmittedBeforeItStarted) {
    driver.set_up();
    driver.submit(RawDriver::transfer(Operation::read, 7, 0, buffer));
    ASSERT_TRUE(thread->start());
    EXPECT_TRUE(eventually([&] { return driver.reap().has_value(); }));
}

TEST_F(DeviceThreadTest, StopWaitsForTheDiskAndResets) {
    ASSERT_TRUE(thread->start());
    driver.set_up();
    disk.hold = true;
    if (driver.submit(RawDriver::transfer(Operation::read, 7, 0, buffer))) driver.doorbell();
    ASSERT_TRUE(eventually([&] { return disk.held() == 1; }));
    std::atomic<bool> stopped = false;
    std::thread stopper([&] {
        thread->stop();
        stopped = true;
    });
    ASSERT_TRUE(eventually([&] { return driver.status() == block::DeviceStatus::resetting; }));
    EXPECT_FALSE(stopped) << "the disk still writes into guest memory";
    disk.release();
    stopper.join();
    EXPECT_TRUE(device->quiescent());
    EXPECT_EQ(driver.status(), block::DeviceStatus::reset);
    EXPECT_FALSE(driver.reap());
}

TEST_F(DeviceThreadTest, StartsAgainAfterAStop) {
    for (std::uint32_t round = 0; round < 3; ++round) {
        disk.hold = false;
        ASSERT_TRUE(thread->start());
        driver.set_up();
        EXPECT_TRUE(submit_and_reap(round));
        thread->stop();
        thread->stop();
    }
}

TEST_F(DeviceThreadTest, StopsUnderAFlood) {
    ASSERT_TRUE(thread->start());
    driver.set_up();
    std::atomic<bool> flooding = true;
    std::thread flooder([&] {
        while (flooding) driver.doorbell();
    });
    std::this_thread::sleep_for(20ms);
    thread->stop();
    flooding = false;
    flooder.join();
    EXPECT_GT(device->counters().doorbells, 0u);
}

TEST_F(DeviceThreadTest, ReadingTheCountersLosesNoDoorbell) {
    ASSERT_TRUE(thread->start());
    driver.set_up();
    std::atomic<bool> reading = true;
    std::thread reader([&] {
        while (reading) device->counters();
    });
    std::uint64_t rung = 0;
    for (std::uint32_t tag = 0; tag < 5'000; ++tag) {
        if (driver.submit(RawDriver::transfer(Operation::read, tag, 0, buffer))) {
            driver.doorbell();
            ++rung;
        }
        if (!eventually([&] { return driver.reap().has_value(); })) {
            ADD_FAILURE() << "request " << tag << " was never seen";
            break;
        }
    }
    reading = false;
    reader.join();
    EXPECT_EQ(device->counters().doorbells, rung);
}

TEST_F(DeviceThreadTest, IsIdleWithoutWork) {
    ASSERT_TRUE(thread->start());
    driver.set_up();
    ASSERT_TRUE(submit_and_reap(1));
    std::this_thread::sleep_for(10ms);
    timespec before{};
    timespec after{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    std::this_thread::sleep_for(100ms);
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    const auto used = (after.tv_sec - before.tv_sec) * 1'000'000'000L + after.tv_nsec - before.tv_nsec;
    EXPECT_LT(used, 50'000'000L);
}

class PollingThreadTest : public DeviceThreadTest {
  protected:
    ~PollingThreadTest() override { thread.reset(); }
    PollingThreadTest() {
        thread = std::move(*vmm::DeviceThread::create(*device, look_clock, "disk-polled", pollers, 1s));
    }
    LookClock look_clock;
};

TEST_F(PollingThreadTest, NeedsNoDoorbellsUnderASteadyLoad) {
    ASSERT_TRUE(thread->start());
    driver.set_up();
    // How many it takes depends on how slow this thread is at times.
    std::uint32_t without = 0;
    for (std::uint32_t tag = 0; tag < 100'000 && without < 100; ++tag) {
        const bool asked = driver.submit(RawDriver::transfer(Operation::read, tag, 0, buffer));
        if (asked) driver.doorbell();
        without += asked ? 0 : 1;
        ASSERT_TRUE(eventually([&] { return driver.reap().has_value(); })) << tag;
        std::this_thread::sleep_for(50us);  // so that it looks in vain, too
    }
    EXPECT_EQ(without, 100u);
    thread->stop();
    EXPECT_GT(thread->polls().found, 0u);
    EXPECT_GT(thread->polls().time, 0ns);
}

TEST_F(PollingThreadTest, StopsInMidPoll) {
    ASSERT_TRUE(thread->start());
    driver.set_up();
    for (std::uint32_t tag = 0; tag < 200; ++tag) ASSERT_TRUE(submit_and_reap(tag));
    const auto before = std::chrono::steady_clock::now();
    thread->stop();
    EXPECT_LT(std::chrono::steady_clock::now() - before, 1s);
}

class NeverPollingThreadTest : public DeviceThreadTest {
  protected:
    NeverPollingThreadTest() : DeviceThreadTest(0s) {}
};

TEST_F(NeverPollingThreadTest, DoesNotPoll) {
    ASSERT_TRUE(thread->start());
    driver.set_up();
    for (std::uint32_t tag = 0; tag < 200; ++tag) ASSERT_TRUE(submit_and_reap(tag));
    thread->stop();
    const vmm::PollCounters& polls = thread->polls();
    EXPECT_EQ(polls.found + polls.in_vain + polls.gave_way, 0u);
}

class SharedLine final : public vmm::InterruptLine {
  public:
    void raise() override { ++count; }
    std::atomic<int> count = 0;
};

TEST_F(DeviceThreadTest, WakesForADeadline) {
    SharedLine told;
    device = std::move(*vmm::FusionBlk::create(ram.memory(), disk, system_clock, {}));
    device->connect_interrupt(0, told);
    driver = RawDriver(ram, *device);
    thread = std::move(*vmm::DeviceThread::create(*device, system_clock, "disk-in-time", pollers, 0s));
    ASSERT_TRUE(thread->start());
    driver.set_up();
    disk.hold = true;
    for (std::uint32_t tag = 0; tag < 2; ++tag)
        if (driver.submit(RawDriver::transfer(Operation::read, tag, 0, buffer))) driver.doorbell();
    ASSERT_TRUE(eventually([&] { return disk.held() == 2; }));
    ASSERT_TRUE(driver.completions->prepare_sleep_at_most(2));
    disk.release(1);
    EXPECT_TRUE(eventually([&] { return told.count == 1; })) << "the other one never ends";
    disk.release();
    thread->stop();  // before what it tells is gone
}

}  // namespace
}  // namespace exo::test
