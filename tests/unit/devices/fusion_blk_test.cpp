// The device against a guest that a test plays by hand.

#include "vmm/devices/fusion_blk.h"

#include <gtest/gtest.h>

#include <random>

#include "shared/block/control_line.h"
#include "tests/unit/devices/device_fixture.h"
#include "vmm/storage/limited_disk.h"

namespace exo::test {
namespace {

namespace reg = block::reg;
using block::DeviceStatus;
using block::Operation;
using block::QueueState;
using block::Request;
using block::Status;

class FusionBlkDevice : public DeviceFixture {
  protected:
    using DeviceFixture::DeviceFixture;
    void SetUp() override { buffer = ram.allocate(64 << 10); }

    Request read(std::uint32_t tag, std::uint64_t sector = 0, std::uint32_t length = 512) const {
        return RawDriver::transfer(Operation::read, tag, sector, buffer, length);
    }
    Request write(std::uint32_t tag, std::uint64_t sector = 0) const {
        return RawDriver::transfer(Operation::write, tag, sector, buffer);
    }
    std::size_t reap_all() {
        std::size_t count = 0;
        while (driver.reap()) ++count;
        return count;
    }
    fusion::Slot& submission_slot(std::uint32_t position) { return driver.submission_ring->slot(position); }

    std::uint64_t buffer = 0;
};

TEST_F(FusionBlkDevice, ReadsAndWrites) {
    driver.set_up();
    EXPECT_EQ(run(read(1, 5, 1024)), Status::ok);
    EXPECT_EQ(std::memcmp(ram.at(buffer), &disk.content[5 * 512], 1024), 0);
    std::memset(ram.at(buffer), 0x77, 512);
    EXPECT_EQ(run(write(2, 9)), Status::ok);
    EXPECT_EQ(disk.content[9 * 512], std::byte{0x77});
    EXPECT_EQ(disk.content[9 * 512 + 511], std::byte{0x77});
    EXPECT_NE(disk.content[10 * 512], std::byte{0x77});
    EXPECT_EQ(run(RawDriver::flush(3)), Status::ok);
    EXPECT_EQ(disk.flushes, 1u);
    const auto counters = device->counters();
    EXPECT_EQ(counters.reads, 1u);
    EXPECT_EQ(counters.bytes_read, 1024u);
    EXPECT_EQ(counters.writes, 1u);
    EXPECT_EQ(counters.bytes_written, 512u);
    EXPECT_EQ(counters.flushes, 1u);
    EXPECT_EQ(counters.completions[0], 3u);
    EXPECT_EQ(counters.bad_descriptors, 0u);
}

TEST_F(FusionBlkDevice, CompletionTellsBytesAndTimes) {
    driver.set_up();
    clock.step = std::chrono::nanoseconds(500);
    Request request = read(77, 0, 1024);
    request.submit_tsc = 1;
    driver.submit(request);
    settle();
    const auto completion = driver.reap();
    ASSERT_TRUE(completion);
    EXPECT_EQ(completion->bytes, 1024u);
    EXPECT_EQ(completion->service_time_ns, 500u);
    EXPECT_NE(completion->pickup_tsc, 0u);
    EXPECT_LE(completion->pickup_tsc, completion->submitted_tsc);
    EXPECT_LE(completion->submitted_tsc, completion->completed_tsc);
    driver.submit(read(78));
    settle();
    EXPECT_EQ(driver.reap()->pickup_tsc, 0u) << "it was not traced";
}

TEST_F(FusionBlkDevice, TimesOfATraceAreInTheOrderOfTheSteps) {
    std::uint64_t tsc = 100;
    device = std::move(*vmm::FusionBlk::create(ram.memory(), disk, clock, {.tsc = [&] { return tsc; }}));
    device->connect_interrupt(0, line);
    driver = RawDriver(ram, *device);
    driver.set_up();
    disk.hold = true;
    driver.submit(read(1));
    Request barrier = read(2);
    barrier.flags = block::flag::barrier;
    barrier.submit_tsc = 1;
    driver.submit(barrier);
    settle();
    tsc = 200;
    disk.release(1);
    settle();
    tsc = 300;
    disk.release(1);
    settle();
    ASSERT_EQ(driver.reap()->pickup_tsc, 0u);
    const auto traced = driver.reap();
    ASSERT_TRUE(traced);
    EXPECT_EQ(traced->pickup_tsc, 100u);
    EXPECT_EQ(traced->submitted_tsc, 200u) << "it waited for the one before it";
    EXPECT_EQ(traced->completed_tsc, 300u);
}

TEST_F(FusionBlkDevice, ForcedUnitAccessReachesTheDisk) {
    driver.set_up();
    Request request = write(1);
    request.flags = block::flag::fua;
    EXPECT_EQ(run(request), Status::ok);
    EXPECT_EQ(disk.fua_writes, 1u);
}

TEST_F(FusionBlkDevice, BadRequestsAreAnsweredAndCounted) {
    driver.set_up();
    Request request = read(1);
    request.segments[0].address = 0;
    EXPECT_EQ(run(request), Status::bad_address);
    EXPECT_EQ(run(read(2, sectors)), Status::out_of_range);
    request = read(3);
    request.flags = 0xff;
    EXPECT_EQ(run(request), Status::bad_request);
    EXPECT_EQ(run(read(4)), Status::ok) << "the queue goes on";
    const auto counters = device->counters();
    EXPECT_EQ(counters.bad_descriptors, 3u);
    EXPECT_EQ(counters.completions[static_cast<std::size_t>(Status::bad_address)], 1u);
    EXPECT_EQ(counters.completions[static_cast<std::size_t>(Status::out_of_range)], 1u);
    EXPECT_EQ(counters.completions[static_cast<std::size_t>(Status::bad_request)], 1u);
    EXPECT_EQ(disk.order.size(), 1u) << "none of them reached the disk";
}

TEST_F(FusionBlkDevice, ErrorsOfTheDisk) {
    driver.set_up();
    int number = 0;
    disk.fail = [&](const vmm::DiskRequest&) { return number; };
    for (const auto& [error, status] : {std::pair{EIO, Status::io_error},
                                        {ENOSPC, Status::no_space},
                                        {EDQUOT, Status::no_space},
                                        {EBADF, Status::io_error}}) {
        number = error;
        driver.submit(write(1));
        settle();
        const auto completion = driver.reap();
        ASSERT_TRUE(completion);
        EXPECT_EQ(completion->status, status);
        EXPECT_EQ(completion->bytes, 0u);
    }
    EXPECT_EQ(device->counters().bad_descriptors, 0u) << "that was not the guest's fault";
}

TEST_F(FusionBlkDevice, DiskThatMovesLessThanAskedIsAnError) {
    driver.set_up();
    disk.short_by = 1;
    EXPECT_EQ(run(read(1)), Status::io_error);
}

// Slots that no driver makes.

TEST_F(FusionBlkDevice, SlotOfAnotherKindIsAnsweredByItsTag) {
    driver.set_up();
    Request request = read(55);
    const auto bytes = std::as_bytes(std::span(&request, 1));
    ASSERT_TRUE(driver.submissions->send_inline(bytes, 0, fusion::Kind::control));
    ASSERT_TRUE(driver.submissions->send_inline(bytes.first(8)));
    settle();
    for (int i = 0; i < 2; ++i) {
        const auto completion = driver.reap();
        ASSERT_TRUE(completion);
        EXPECT_EQ(completion->status, Status::bad_request);
        EXPECT_EQ(completion->tag, 55u);
    }
    EXPECT_EQ(device->counters().bad_descriptors, 2u);
}

TEST_F(FusionBlkDevice, SlotWithoutAKindIsDroppedAndCounted) {
    driver.set_up();
    submission_slot(0).header = fusion::SlotHeader{1, static_cast<fusion::Kind>(200), 0, 56}.to_word();
    submission_slot(1).header = fusion::SlotHeader{2, fusion::Kind::inline_data, 0, 57}.to_word();
    submission_slot(2).header = fusion::SlotHeader{3, fusion::Kind::inline_data, 0, 0xffff}.to_word();
    settle();
    EXPECT_EQ(device->counters().bad_descriptors, 3u);
    EXPECT_FALSE(driver.reap());
    EXPECT_EQ(driver.status(), DeviceStatus::running);
    EXPECT_EQ(driver.queue_state(), QueueState::enabled);
}

TEST_F(FusionBlkDevice, ImpossibleSequenceBreaksTheQueueUntilAReset) {
    driver.set_up();
    EXPECT_EQ(run(read(1)), Status::ok);
    disk.hold = true;
    driver.submit(read(2));
    settle();
    submission_slot(2).header = fusion::SlotHeader{77, fusion::Kind::inline_data, 0, 56}.to_word();
    settle();
    EXPECT_EQ(driver.status(), DeviceStatus::failed);
    EXPECT_EQ(driver.queue_state(), QueueState::broken);
    EXPECT_EQ(device->counters().bad_descriptors, 1u);
    settle();
    EXPECT_EQ(device->counters().bad_descriptors, 1u) << "it is looked at once";
    disk.hold = false;
    disk.release();
    settle();
    EXPECT_EQ(driver.reap()->tag, 2u) << "what was taken before still ends";
    driver.set_up();
    EXPECT_EQ(run(read(3)), Status::ok);
}

TEST_F(FusionBlkDevice, ScribbledHeadersDoNoHarm) {
    driver.set_up();
    std::mt19937_64 random(7);
    for (int round = 0; round < 200; ++round) {
        for (fusion::Ring* ring : {&*driver.submission_ring, &*driver.completion_ring}) {
            auto* words = reinterpret_cast<std::uint64_t*>(&ring->header());
            for (std::size_t i = 0; i < sizeof(fusion::RingHeader) / 8; ++i) words[i] = random();
        }
        driver.submissions->send(read(static_cast<std::uint32_t>(round)));
        settle();
        const auto completion = driver.reap();
        ASSERT_TRUE(completion) << round;
        EXPECT_EQ(completion->status, Status::ok);
    }
}

TEST_F(FusionBlkDevice, ScribbledSlotsDoNoHarm) {
    std::mt19937_64 random(11);
    for (int round = 0; round < 300; ++round) {
        driver.set_up(8);
        for (int step = 0; step < 20; ++step) {
            fusion::Ring& ring = random() % 2 == 0 ? *driver.submission_ring : *driver.completion_ring;
            auto* words = reinterpret_cast<std::uint64_t*>(&ring.slot(static_cast<std::uint32_t>(random())));
            const std::uint64_t position = random() % 24;
            words[0] =
                random() % 4 == 0 ? random() : position | std::uint64_t{1} << 32 | std::uint64_t{56} << 48;
            for (int i = 1; i < 8; ++i) words[i] = random() % 3 == 0 ? random() : random() % 8;
            settle();
        }
        ram.release(driver.submission_address, fusion::ring_bytes(8));
        ram.release(driver.completion_address, fusion::ring_bytes(8));
    }
    driver.set_up();
    EXPECT_EQ(run(read(1)), Status::ok);
}

TEST_F(FusionBlkDevice, RequestsThatPointAtTheRingsThemselves) {
    for (const bool completions : {false, true}) {
        driver.set_up(64);
        const std::uint64_t ring = completions ? driver.completion_address : driver.submission_address;
        driver.submit(RawDriver::transfer(Operation::read, 1, 0, ring, 8192));
        settle();
        driver.submissions->send(read(2));
        settle();
    }
    driver.set_up();
    EXPECT_EQ(run(read(1)), Status::ok);
}

// Bounds.

TEST_F(FusionBlkDevice, NoMoreInFlightThanTheRingHolds) {
    driver.set_up(4);
    disk.hold = true;
    for (std::uint32_t round = 0; round < 3; ++round) {
        while (driver.submissions->free_slots(1) == 1) driver.submit(read(round));
        settle();
    }
    EXPECT_EQ(disk.held(), 4u);
}

TEST_F(FusionBlkDevice, NoMoreInFlightThanTheDiskTakes) {
    disk.depth_limit = 3;
    device = std::move(*vmm::FusionBlk::create(ram.memory(), disk, clock, {}));
    device->connect_interrupt(0, line);
    driver = RawDriver(ram, *device);
    driver.set_up(16);
    disk.hold = true;
    for (std::uint32_t tag = 0; tag < 10; ++tag) driver.submit(read(tag));
    settle();
    EXPECT_EQ(disk.most_held(), 3u);
    std::size_t reaped = 0;
    for (int i = 0; i < 10; ++i) {
        disk.release(1);
        settle();
        reaped += reap_all();
        EXPECT_LE(disk.held(), 3u);
    }
    EXPECT_EQ(reaped, 10u);
}

TEST_F(FusionBlkDevice, OnePassTakesABoundedNumber) {
    driver.set_up(256);
    disk.hold = true;
    for (std::uint32_t tag = 0; tag < 200; ++tag) driver.submit(read(tag));
    EXPECT_TRUE(device->service());
    EXPECT_LE(disk.held(), 64u);
    EXPECT_GT(disk.held(), 0u);
    settle();
    EXPECT_EQ(disk.held(), 200u);
}

TEST_F(FusionBlkDevice, GuestThatNeverReapsLosesNothing) {
    driver.set_up(4);
    for (std::uint32_t round = 0; round < 4; ++round) {
        for (std::uint32_t i = 0; i < 4 && driver.submissions->free_slots(1) == 1; ++i)
            driver.submit(read(round * 4 + i));
        settle();
    }
    EXPECT_GT(device->counters().held_back, 0u);
    const auto before = disk.order.size();
    settle();
    EXPECT_EQ(disk.order.size(), before) << "it takes nothing more";
    EXPECT_LE(before, 8u) << "a ring of completions, and a ring of those held back";

    std::vector<std::uint32_t> tags;
    for (int i = 0; i < 20; ++i) {
        if (const auto completion = driver.reap()) tags.push_back(completion->tag);
        if (driver.completions->must_notify()) settle();
    }
    EXPECT_EQ(tags.size(), before + 4) << "the last ones waited in the submission ring";
    for (std::uint32_t i = 0; i < tags.size(); ++i) EXPECT_EQ(tags[i], i);
}

TEST_F(FusionBlkDevice, AsksForTheDoorbellWhenItWaitsForRoom) {
    driver.set_up(2);
    driver.submit(read(1));
    driver.submit(read(2));
    settle();
    driver.submit(read(3));
    settle();
    EXPECT_EQ(device->counters().held_back, 1u);
    ASSERT_TRUE(driver.reap());
    EXPECT_TRUE(driver.completions->must_notify());
    settle();
    EXPECT_EQ(driver.reap()->tag, 2u);
    EXPECT_EQ(driver.reap()->tag, 3u);
    EXPECT_FALSE(driver.completions->must_notify()) << "nothing is held back any more";
}

TEST_F(FusionBlkDevice, FloodOfDoorbellsCostsOnePassEach) {
    driver.set_up();
    for (int i = 0; i < 10'000; ++i) driver.doorbell();
    EXPECT_FALSE(device->service());
    EXPECT_EQ(device->counters().doorbells, 10'000u);
    EXPECT_EQ(device->counters().interrupts, 0u);
}

// Notifications.

TEST_F(FusionBlkDevice, NeedsNoDoorbellWhileItIsFull) {
    driver.set_up(4);
    disk.hold = true;
    for (std::uint32_t tag = 0; tag < 4; ++tag) driver.submit(read(tag));
    settle();
    const auto& wake = driver.submission_ring->header().consumer_wake;
    EXPECT_EQ(fusion::WakeWord::from_word(wake.word).state, fusion::WaitState::polling);
    EXPECT_FALSE(driver.submit(read(4)));
    disk.hold = false;
    disk.release();
    settle();
    EXPECT_EQ(fusion::WakeWord::from_word(wake.word).state, fusion::WaitState::sleeping);
    EXPECT_EQ(disk.order.size(), 5u);
    EXPECT_EQ(reap_all(), 4u);
}

TEST_F(FusionBlkDevice, DoorbellIsAskedForOnlyAtRest) {
    driver.set_up();
    disk.hold = true;
    EXPECT_TRUE(driver.submit(read(1))) << "from the first one on";
    EXPECT_FALSE(driver.submit(read(2))) << "one is enough";
    settle();
    EXPECT_TRUE(driver.submit(read(3)));
    settle();
    EXPECT_EQ(disk.held(), 3u);
}

TEST_F(FusionBlkDevice, RequestsThatLieThereWhenTheQueueIsEnabledRing) {
    driver.run();
    driver.enable(16, 5);  // there is no such vector: the rings are ready and nobody looks at them
    ASSERT_EQ(driver.queue_state(), QueueState::bad_vector);
    driver.submit(read(1));
    driver.write32(reg::queue_vector, 0);
    driver.write32(reg::queue_state, static_cast<std::uint32_t>(QueueState::enabled));
    ASSERT_EQ(driver.queue_state(), QueueState::enabled);
    EXPECT_EQ(device->counters().doorbells, 1u);
    settle();
    EXPECT_TRUE(driver.reap());
}

TEST_F(FusionBlkDevice, InterruptsOnlyTheOneThatSleeps) {
    driver.set_up();
    EXPECT_EQ(run(read(1)), Status::ok);
    EXPECT_EQ(line.count, 0) << "the guest polls";
    ASSERT_TRUE(driver.completions->prepare_sleep());
    EXPECT_EQ(run(read(2)), Status::ok);
    EXPECT_EQ(line.count, 1);
    driver.completions->finish_sleep();
    EXPECT_EQ(run(read(3)), Status::ok);
    EXPECT_EQ(line.count, 1);
    EXPECT_EQ(device->counters().interrupts, 1u);
}

TEST_F(FusionBlkDevice, OneInterruptForABatch) {
    driver.set_up();
    ASSERT_TRUE(driver.completions->prepare_sleep());
    for (std::uint32_t tag = 0; tag < 8; ++tag) driver.submit(read(tag));
    settle();
    EXPECT_EQ(line.count, 1);
    EXPECT_EQ(reap_all(), 8u);
}

/// Requests 0 to 7 lie with the disk, and the guest sleeps until `completions` of them have ended.
class CoalescedInterrupts : public FusionBlkDevice {
  protected:
    void sleep_until(std::uint32_t completions, block::Urgency urgency = block::Urgency::normal) {
        driver.set_up();
        disk.hold = true;
        for (std::uint32_t tag = 0; tag < 8; ++tag) {
            Request request = read(tag);
            request.flags = static_cast<std::uint8_t>(tag == 1 ? urgency : block::Urgency::normal);
            driver.submit(request);
        }
        settle();
        ASSERT_TRUE(driver.completions->prepare_sleep_at_most(completions));
    }
    void end(std::size_t count) {
        disk.release(count);
        settle();
    }
    static constexpr std::chrono::microseconds deadline{block::coalescing_normal_us};
};

TEST_F(CoalescedInterrupts, WaitForTheIndexTheGuestAskedFor) {
    sleep_until(3);
    for (int ended = 0; ended < 3; ++ended) {
        EXPECT_EQ(line.count, 0);
        end(1);
    }
    EXPECT_EQ(line.count, 1);
    end(4);
    EXPECT_EQ(line.count, 1) << "the guest was told, and has not asked again";
    EXPECT_EQ(reap_all(), 7u);
}

TEST_F(CoalescedInterrupts, DoNotWaitForUrgentRequests) {
    sleep_until(8, block::Urgency::urgent);
    end(1);
    EXPECT_EQ(line.count, 0);
    end(1);
    EXPECT_EQ(line.count, 1);
    EXPECT_FALSE(device->deadline()) << "all that was held back is told with it";
}

TEST_F(CoalescedInterrupts, GuestThatPollsNeedsNone) {
    sleep_until(8, block::Urgency::urgent);
    driver.completions->finish_sleep();
    end(8);
    EXPECT_EQ(line.count, 0);
    EXPECT_FALSE(device->deadline());
}

TEST_F(CoalescedInterrupts, AreDueWhenNothingIsLeftInTheDevice) {
    sleep_until(16);
    end(7);
    EXPECT_EQ(line.count, 0);
    end(1);
    EXPECT_EQ(line.count, 1);
    EXPECT_FALSE(device->deadline());
    EXPECT_EQ(device->counters().interrupts, 1u);
}

TEST_F(CoalescedInterrupts, AreDueAtTheDeadlineOfTheFirst) {
    sleep_until(8);
    end(1);
    ASSERT_TRUE(device->deadline());
    EXPECT_EQ(*device->deadline(), clock.now() + deadline);
    clock.advance(deadline / 2);
    end(1);
    EXPECT_EQ(*device->deadline(), clock.now() + deadline / 2) << "the first one's";
    clock.advance(deadline / 2 - std::chrono::nanoseconds(1));
    settle();
    EXPECT_EQ(line.count, 0);
    clock.advance(std::chrono::nanoseconds(1));
    settle();
    EXPECT_EQ(line.count, 1);
    EXPECT_FALSE(device->deadline());
}

TEST_F(CoalescedInterrupts, RelaxedOnesWaitLonger) {
    sleep_until(8, block::Urgency::relaxed);
    disk.release_last();
    settle();
    ASSERT_TRUE(device->deadline());
    const auto first = *device->deadline();
    driver.completions->finish_sleep();
    reap_all();
    ASSERT_TRUE(driver.completions->prepare_sleep_at_most(7));
    end(1);
    EXPECT_EQ(device->deadline(), first) << "a normal one";
    driver.completions->finish_sleep();
    reap_all();
    clock.advance(deadline);
    settle();
    ASSERT_TRUE(driver.completions->prepare_sleep_at_most(6));
    end(1);
    EXPECT_EQ(device->deadline(), clock.now() + std::chrono::microseconds(block::coalescing_relaxed_us));
    EXPECT_EQ(line.count, 0);
}

TEST_F(CoalescedInterrupts, GuestThatLookedByItselfIsNotTold) {
    sleep_until(8);
    end(2);
    driver.completions->finish_sleep();
    EXPECT_EQ(reap_all(), 2u);
    ASSERT_TRUE(driver.completions->prepare_sleep_at_most(6));
    clock.advance(deadline);
    settle();
    EXPECT_EQ(line.count, 0) << "it sleeps, but has seen all that there is";
    end(6);
    EXPECT_EQ(line.count, 1);
}

TEST_F(CoalescedInterrupts, PositionThatNeverComesHurtsNobody) {
    sleep_until(8);
    auto& wake = driver.completion_ring->header().consumer_wake.word;
    for (const std::uint32_t position : {0x8000'0000u, 0xffff'ffffu, 1'000'000u}) {
        for (std::uint32_t state = 1; state < 8; ++state) {
            wake = fusion::WakeWord{position, static_cast<fusion::WaitState>(state)}.to_word();
            end(1);
            clock.advance(deadline);
            settle();
            EXPECT_FALSE(device->deadline());
            reap_all();
            driver.submit(read(state));
            settle();
        }
    }
    EXPECT_GT(line.count, 0);
}

TEST_F(CoalescedInterrupts, BatchLimitOfAGuestThatLiesChangesNothing) {
    sleep_until(3);
    block::publish_control(
        driver.completion_ring->header().consumer_wake,
        block::DriverControl{.mode = ~0u, .poll_budget_ns = ~0u, .batch_limit = ~0u, .reserved = {}});
    end(3);
    EXPECT_EQ(line.count, 1);
}

TEST_F(CoalescedInterrupts, AreForgottenByAReset) {
    sleep_until(8);
    end(1);
    ASSERT_TRUE(device->deadline());
    device->reset();
    disk.release();
    settle();
    EXPECT_FALSE(device->deadline());
    EXPECT_EQ(line.count, 0);
    EXPECT_TRUE(device->quiescent());
}

TEST_F(CoalescedInterrupts, FullCompletionRingDoesNotHideThem) {
    driver.set_up(2);
    ASSERT_TRUE(driver.completions->prepare_sleep_at_most(2));
    disk.hold = true;
    driver.submit(read(1));
    driver.submit(read(2));
    settle();
    end(1);
    EXPECT_EQ(line.count, 0);
    driver.submit(read(3));
    settle();
    end(2);
    EXPECT_EQ(line.count, 1);
}

TEST_F(FusionBlkDevice, RefusalIsToldAtOnce) {
    driver.set_up();
    disk.hold = true;
    driver.submit(read(1));
    settle();
    ASSERT_TRUE(driver.completions->prepare_sleep(3));
    driver.submit(read(2, sectors));
    settle();
    EXPECT_EQ(line.count, 1);
}

TEST_F(FusionBlkDevice, QueueWithoutAVectorIsPolled) {
    driver.set_up(16, block::no_vector);
    ASSERT_TRUE(driver.completions->prepare_sleep());
    EXPECT_EQ(run(read(1)), Status::ok);
    EXPECT_EQ(line.count, 0);
    EXPECT_EQ(device->counters().interrupts, 0u);
}

TEST_F(FusionBlkDevice, PublishesItsEstimates) {
    driver.set_up();
    clock.step = std::chrono::microseconds(10);
    EXPECT_EQ(run(read(1)), Status::ok);
    EXPECT_EQ(run(RawDriver::flush(2)), Status::ok);
    driver.completions->prepare_sleep();
    EXPECT_EQ(run(read(3, 0, 32768)), Status::ok);
    settle();
    const auto& wake = driver.submission_ring->header().consumer_wake;
    auto control = block::read_control<block::DeviceControl>(wake);
    EXPECT_EQ(control.read_ns[0], 10'000u);
    EXPECT_EQ(control.read_ns[1], 10'000u);
    EXPECT_EQ(control.read_ns[2], 0u);
    EXPECT_EQ(control.write_ns[0], 0u);
    EXPECT_EQ(control.flush_ns, 10'000u);
    EXPECT_EQ(control.notification_cost_ns, 10'000u);
    EXPECT_EQ(control.depth, 0u);
    disk.hold = true;
    driver.submit(read(4));
    settle();
    control = block::read_control<block::DeviceControl>(wake);
    EXPECT_EQ(control.depth, 1u);
}

// Polling.

TEST_F(FusionBlkDevice, NeedsNoDoorbellWhileItPolls) {
    driver.set_up();
    const auto& wake = driver.submission_ring->header().consumer_wake.word;
    EXPECT_FALSE(device->service(vmm::Pass::poll));
    EXPECT_EQ(fusion::WakeWord::from_word(wake).state, fusion::WaitState::polling);
    for (std::uint32_t tag = 0; tag < 40; ++tag) {
        EXPECT_FALSE(driver.submit(read(tag)));
        EXPECT_TRUE(device->service(vmm::Pass::poll));
        EXPECT_TRUE(driver.reap());
        EXPECT_FALSE(device->service(vmm::Pass::poll)) << "nothing more";
    }
    EXPECT_FALSE(device->service());
    EXPECT_EQ(fusion::WakeWord::from_word(wake).state, fusion::WaitState::sleeping);
    EXPECT_TRUE(driver.submit(read(40)));
}

TEST_F(FusionBlkDevice, RequestBetweenThePollAndTheRestIsFound) {
    driver.set_up();
    EXPECT_FALSE(device->service(vmm::Pass::poll));
    EXPECT_FALSE(driver.submit(read(1)));
    settle();
    EXPECT_TRUE(driver.reap());
}

TEST_F(FusionBlkDevice, CompletionOfTheDiskIsWorkForAPoll) {
    driver.set_up();
    disk.hold = true;
    driver.submit(read(1));
    EXPECT_TRUE(device->service(vmm::Pass::poll));
    EXPECT_FALSE(device->service(vmm::Pass::poll));
    disk.release();
    EXPECT_TRUE(device->service(vmm::Pass::poll));
    EXPECT_FALSE(device->service(vmm::Pass::poll));
    EXPECT_TRUE(driver.reap());
}

// Limits.

TEST_F(FusionBlkDevice, LimitedRequestsWaitAndAResetDoesNotWaitForThem) {
    vmm::LimitedDisk limited(disk, clock, {.operations = 1});
    clock.advance(std::chrono::seconds(10));
    device = std::move(*vmm::FusionBlk::create(ram.memory(), limited, clock, {}));
    device->connect_interrupt(0, line);
    driver = RawDriver(ram, *device);
    driver.set_up();
    for (std::uint32_t tag = 0; tag < 8; ++tag) driver.submit(read(tag));
    settle();
    EXPECT_EQ(reap_all(), 1u);
    ASSERT_TRUE(device->deadline());
    EXPECT_EQ(*device->deadline(), clock.now() + std::chrono::milliseconds(900));
    clock.advance(std::chrono::milliseconds(900));
    settle();
    EXPECT_EQ(reap_all(), 1u);
    driver.write_status(DeviceStatus::reset);
    EXPECT_EQ(driver.status(), DeviceStatus::resetting);
    settle();
    EXPECT_EQ(driver.status(), DeviceStatus::reset) << "six of them have not been started";
    EXPECT_TRUE(device->quiescent());
    EXPECT_FALSE(device->deadline());
    driver.set_up();
    clock.advance(std::chrono::seconds(1));
    EXPECT_EQ(run(read(9)), Status::ok);
}

// Barriers.

TEST_F(FusionBlkDevice, BarrierWaitsForAllBeforeAndHoldsAllAfter) {
    driver.set_up();
    disk.hold = true;
    driver.submit(read(1, 1));
    driver.submit(read(2, 2));
    Request barrier = write(3, 3);
    barrier.flags = block::flag::barrier;
    driver.submit(barrier);
    driver.submit(read(4, 4));
    driver.submit(read(5, 5));
    settle();
    EXPECT_EQ(disk.held(), 2u);
    disk.release_last();
    settle();
    EXPECT_EQ(disk.held(), 1u) << "one before it is still under way";
    disk.release(1);
    settle();
    EXPECT_EQ(disk.held(), 1u);
    EXPECT_EQ(disk.order.back(), 3u * 512) << "now the barrier, alone";
    disk.release(1);
    settle();
    EXPECT_EQ(disk.held(), 2u);
    disk.release();
    settle();
    EXPECT_EQ(reap_all(), 5u);
}

TEST_F(FusionBlkDevice, BarrierAfterBarrier) {
    driver.set_up();
    disk.hold = true;
    for (std::uint32_t tag = 1; tag <= 3; ++tag) {
        Request barrier = tag == 2 ? RawDriver::flush(tag) : write(tag, tag);
        barrier.flags = block::flag::barrier;
        driver.submit(barrier);
    }
    for (std::uint32_t tag = 1; tag <= 3; ++tag) {
        settle();
        EXPECT_EQ(disk.held(), 1u);
        disk.release();
        settle();
        EXPECT_EQ(driver.reap()->tag, tag);
    }
}

TEST_F(FusionBlkDevice, RefusedBarrierHoldsNothing) {
    driver.set_up();
    Request barrier = read(1, sectors);
    barrier.flags = block::flag::barrier;
    EXPECT_EQ(run(barrier), Status::out_of_range);
    EXPECT_EQ(run(read(2)), Status::ok);
}

TEST_F(FusionBlkDevice, FailedBarrierHoldsNothing) {
    driver.set_up();
    disk.fail = [](const vmm::DiskRequest&) { return EIO; };
    Request barrier = read(1);
    barrier.flags = block::flag::barrier;
    EXPECT_EQ(run(barrier), Status::io_error);
    disk.fail = nullptr;
    EXPECT_EQ(run(read(2)), Status::ok);
}

// Reset.

TEST_F(FusionBlkDevice, ResetWaitsForTheDiskAndThenTouchesNothing) {
    driver.set_up();
    disk.hold = true;
    for (std::uint32_t tag = 0; tag < 5; ++tag) driver.submit(read(tag, tag, 4096));
    settle();
    driver.submit(read(9));  // not picked up yet
    driver.write_status(DeviceStatus::reset);
    EXPECT_EQ(driver.status(), DeviceStatus::resetting);
    EXPECT_FALSE(device->quiescent());
    driver.write_status(DeviceStatus::running);
    EXPECT_EQ(driver.status(), DeviceStatus::resetting) << "not before it is at rest";
    disk.release(3);
    settle();
    EXPECT_EQ(driver.status(), DeviceStatus::resetting);
    disk.release();
    settle();
    EXPECT_EQ(driver.status(), DeviceStatus::reset);
    EXPECT_TRUE(device->quiescent());
    EXPECT_FALSE(driver.reap()) << "nobody waits for these completions";
    const auto before = disk.order.size();
    const std::vector<std::byte> image(ram.at(GuestRam::start), ram.at(GuestRam::start) + (1 << 20));
    driver.doorbell();
    settle();
    EXPECT_EQ(disk.order.size(), before);
    EXPECT_EQ(std::memcmp(image.data(), ram.at(GuestRam::start), image.size()), 0);
    EXPECT_EQ(device->counters().resets, 2u);
}

TEST_F(FusionBlkDevice, WorksAfterAReset) {
    driver.set_up();
    disk.hold = true;
    driver.submit(read(1));
    settle();
    driver.write_status(DeviceStatus::reset);
    disk.hold = false;
    disk.release();
    settle();
    driver.set_up(8);
    EXPECT_EQ(run(read(2)), Status::ok);
}

TEST_F(FusionBlkDevice, ResetWithABarrierWaiting) {
    driver.set_up();
    disk.hold = true;
    driver.submit(read(1));
    Request barrier = read(2);
    barrier.flags = block::flag::barrier;
    driver.submit(barrier);
    settle();
    driver.write_status(DeviceStatus::reset);
    disk.hold = false;
    disk.release();
    settle();
    EXPECT_EQ(driver.status(), DeviceStatus::reset);
    driver.set_up();
    EXPECT_EQ(run(read(3)), Status::ok);
    EXPECT_EQ(disk.order.size(), 2u) << "the barrier was never started";
}

TEST_F(FusionBlkDevice, PositionsWrapAround) {
    driver.run();
    driver.enable(8, 0, 0, 0xffff'fffa);
    ASSERT_EQ(driver.queue_state(), QueueState::enabled);
    for (std::uint32_t tag = 0; tag < 40; ++tag) {
        ASSERT_TRUE(driver.completions->prepare_sleep());
        EXPECT_EQ(run(read(tag)), Status::ok);
        EXPECT_EQ(line.count, static_cast<int>(tag) + 1);
        driver.completions->finish_sleep();
    }
}

class TwoQueueDevice : public FusionBlkDevice {
  protected:
    TwoQueueDevice() : FusionBlkDevice(vmm::DiskGeometry{}, 2), other(ram, *device) {}
    RawDriver other;
};

TEST_F(TwoQueueDevice, DoNotMixAndShareTheDisk) {
    disk.depth_limit = 2;
    device = std::move(*vmm::FusionBlk::create(ram.memory(), disk, clock, {.queue_count = 2}));
    CountingLine second;
    device->connect_interrupt(0, line);
    device->connect_interrupt(1, second);
    driver = RawDriver(ram, *device);
    other = RawDriver(ram, *device);
    driver.set_up();
    other.enable(16, 1, 1);
    ASSERT_EQ(other.queue_state(), QueueState::enabled);
    settle();
    ASSERT_TRUE(driver.completions->prepare_sleep());
    disk.hold = true;
    for (std::uint32_t tag = 0; tag < 4; ++tag) driver.submit(read(tag));
    settle();
    // The disk is full with the first queue's; the second queue's doorbell comes now and is not forgotten.
    for (std::uint32_t tag = 100; tag < 103; ++tag) other.submit(read(tag));
    settle();
    EXPECT_EQ(disk.held(), 2u);
    disk.hold = false;
    disk.release();
    settle();
    EXPECT_EQ(reap_all(), 4u);
    for (std::uint32_t tag = 100; tag < 103; ++tag) {
        const auto completion = other.reap();
        ASSERT_TRUE(completion);
        EXPECT_EQ(completion->tag, tag);
    }
    EXPECT_GE(line.count, 1);
    EXPECT_EQ(second.count, 0) << "that guest polls";
}

TEST_F(TwoQueueDevice, FloodOnOneDoesNotStarveTheOther) {
    disk.depth_limit = 4;
    device = std::move(*vmm::FusionBlk::create(ram.memory(), disk, clock, {.queue_count = 2}));
    device->connect_interrupt(0, line);
    driver = RawDriver(ram, *device);
    other = RawDriver(ram, *device);
    driver.set_up(64);
    other.enable(64, block::no_vector, 1);
    disk.hold = true;
    for (std::uint32_t tag = 0; tag < 60; ++tag) driver.submit(read(tag));
    settle();
    other.submit(read(1000, 1));
    // The first queue has always more than the disk takes.
    for (int round = 0; round < 4; ++round) {
        disk.release(4);
        device->service();
    }
    EXPECT_TRUE(other.reap());
}

class ReadOnlyDevice : public FusionBlkDevice {
  protected:
    ReadOnlyDevice() : FusionBlkDevice(vmm::DiskGeometry{.read_only = true}) {}
};

TEST_F(ReadOnlyDevice, RefusesWritesItself) {
    driver.set_up();
    EXPECT_EQ(run(write(1)), Status::read_only);
    EXPECT_EQ(run(read(2)), Status::ok);
    EXPECT_EQ(disk.order.size(), 1u);
}

class LargeBlockDevice : public FusionBlkDevice {
  protected:
    LargeBlockDevice() : FusionBlkDevice(vmm::DiskGeometry{.logical_block = 4096, .physical_block = 4096}) {}
};

TEST_F(LargeBlockDevice, TakesWholeBlocksOnly) {
    driver.set_up();
    EXPECT_EQ(driver.read32(reg::logical_block), 4096u);
    EXPECT_EQ(run(read(1, 8, 4096)), Status::ok);
    EXPECT_EQ(run(read(2, 1, 4096)), Status::bad_request);
    EXPECT_EQ(run(read(3, 8, 512)), Status::bad_request);
}

TEST_F(FusionBlkDevice, IndirectTableIsCopiedOnce) {
    driver.set_up();
    const std::uint64_t table = ram.allocate(4096);
    for (std::uint64_t i = 0; i < 100; ++i)
        ram.memory().write(vmm::GuestAddress{table + 16 * i},
                           block::Segment{buffer + 512 * (99 - i), 512, 0});
    Request request = read(1, 100);
    request.flags = block::flag::indirect;
    request.segment_count = 100;
    request.segments[0] = {table, 1600, 0};
    disk.hold = true;
    driver.submit(request);
    settle();
    std::memset(ram.at(table), 0xff, 1600);  // too late to change anything
    disk.release();
    settle();
    EXPECT_EQ(driver.reap()->status, Status::ok);
    for (std::size_t i = 0; i < 100; ++i)
        EXPECT_EQ(std::memcmp(ram.at(buffer + 512 * (99 - i)), &disk.content[(100 + i) * 512], 512), 0);
}

}  // namespace
}  // namespace exo::test
