#include "guest/drivers/block/virtio_blk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "guest/drivers/block/block_io.h"
#include "tests/unit/guest_drivers/virtio_blk_model.h"

namespace exo::guest::test {
namespace {

using Fault = VirtioBlkModel::Fault;

struct VirtioBlkTest : testing::Test {
    FakeMachine machine;
    FakePciConfig pci;
    VirtioBlkModel model{machine, pci, 257};
    std::unique_ptr<VirtioBlk> disk;

    Result<std::unique_ptr<VirtioBlk>> create() {
        return VirtioBlk::create(PciFunction(pci, VirtioBlkModel::address), machine.services());
    }
    void start() {
        auto created = create();
        ASSERT_TRUE(created) << created.error().why;
        disk = std::move(*created);
    }
    std::string_view reason_of_refusal() {
        auto created = create();
        return created ? "it works" : created.error().why;
    }
    std::span<const std::byte> on_disk(std::size_t sector, std::size_t size) const {
        return std::span(model.disk).subspan(sector * 512, size);
    }
};

/// Memory for one request.
struct Buffer {
    Buffer(FakeMachine& machine, std::size_t size) : memory(*DmaBuffer::allocate(machine, size)) {
        segment = memory.span().subspan(0, size);
        request.segments = {&segment, 1};
    }
    DmaBuffer memory;
    DmaSpan segment;
    BlockRequest request;
};

TEST_F(VirtioBlkTest, SaysWhatTheDiskIs) {
    EXPECT_TRUE(VirtioBlk::matches(PciFunction(pci, VirtioBlkModel::address)));
    EXPECT_FALSE(VirtioBlk::matches(PciFunction(pci, {0, 9, 0})));
    pci.add({0, 9, 0}, 0x1af4, 0x1001);
    EXPECT_TRUE(VirtioBlk::matches(PciFunction(pci, {0, 9, 0})));
    pci.add({0, 9, 0}, 0x1af4, 0x1041);
    EXPECT_FALSE(VirtioBlk::matches(PciFunction(pci, {0, 9, 0})));
    start();
    const DiskInfo& info = disk->info();
    EXPECT_EQ("virtio-blk", info.driver);
    EXPECT_EQ("serial-0815", info.serial);
    EXPECT_EQ(257u, info.sectors);
    EXPECT_EQ(512u, info.logical_block);
    EXPECT_EQ(4096u, info.physical_block);
    EXPECT_EQ(8u, info.max_segments);
    EXPECT_FALSE(info.read_only);
    EXPECT_TRUE(info.has_flush);
    EXPECT_EQ(std::uint64_t{1} << 32, model.accepted & (std::uint64_t{1} << 32));
}

class VirtioBlkWaitTest : public VirtioBlkTest,
                          public testing::WithParamInterface<std::pair<IoMode, bool>> {};

TEST_P(VirtioBlkWaitTest, ReadsAndWrites) {
    if (!GetParam().second) model.offered &= ~std::uint64_t{1u << 29};
    start();
    disk->set_mode(GetParam().first);
    auto sync = SyncDisk::create(*disk, machine, 3 * 512);
    ASSERT_TRUE(sync);
    std::vector<std::byte> data(257 * 512);
    ASSERT_TRUE(sync->read(0, data));
    EXPECT_EQ(model.disk, data);
    std::ranges::reverse(data);
    ASSERT_TRUE(sync->write(0, data));
    EXPECT_EQ(model.disk, data);
    ASSERT_TRUE(sync->flush());
    EXPECT_EQ(1, model.flushes);
    const BlockQueueCounters& counters = disk->queue(0).counters();
    EXPECT_EQ(counters.submitted, counters.completed);
    EXPECT_EQ(0u, counters.failed + counters.faults);
    if (GetParam().first == IoMode::polling)
        EXPECT_EQ(0, model.interrupts);
    else if (GetParam().first == IoMode::interrupt)
        EXPECT_EQ(static_cast<int>(counters.sleeps), model.interrupts) << "one interrupt for each sleep";
}

INSTANTIATE_TEST_SUITE_P(Modes, VirtioBlkWaitTest,
                         testing::Values(std::pair{IoMode::interrupt, true},
                                         std::pair{IoMode::interrupt, false},
                                         std::pair{IoMode::polling, true}, std::pair{IoMode::polling, false},
                                         std::pair{IoMode::hybrid, true}));

TEST_F(VirtioBlkTest, PollsWhereThereIsNoInterrupt) {
    machine.has_msi = false;
    start();
    EXPECT_FALSE(disk->queue(0).has_interrupt());
    Buffer buffer(machine, 512);
    EXPECT_EQ(BlockStatus::ok, run(*disk, buffer.request));
    EXPECT_EQ(0, model.interrupts);
}

TEST_F(VirtioBlkTest, TakesTheInterruptBackAfterEverySleep) {
    for (const bool event_index : {true, false}) {
        if (!event_index) model.offered &= ~std::uint64_t{1u << 29};
        start();
        Buffer buffer(machine, 512);
        EXPECT_EQ(BlockStatus::ok, run(*disk, buffer.request));
        const int interrupts = model.interrupts;
        disk->set_mode(IoMode::polling);
        for (int i = 0; i < 5; ++i) EXPECT_EQ(BlockStatus::ok, run(*disk, buffer.request));
        EXPECT_EQ(interrupts, model.interrupts);
        disk.reset();
    }
}

TEST_F(VirtioBlkTest, GivesUpOnAnInterruptThatNeverComes) {
    start();
    disk->set_mode(IoMode::interrupt);
    machine.lose_interrupts = true;
    Buffer buffer(machine, 512);
    for (unsigned i = 0; i < InterruptWatch::max_missed; ++i) {
        EXPECT_TRUE(disk->queue(0).has_interrupt());
        EXPECT_EQ(BlockStatus::ok, run(*disk, buffer.request));
    }
    EXPECT_FALSE(disk->queue(0).has_interrupt());
    const std::uint64_t before = machine.now_ns();
    EXPECT_EQ(BlockStatus::ok, run(*disk, buffer.request));
    EXPECT_LT(machine.now_ns() - before, ns_per_ms);
}

TEST_F(VirtioBlkTest, KeepsManyRequestsInFlightAndTakesThemBackInAnyOrder) {
    for (const bool out_of_order : {false, true}) {
        model.out_of_order = out_of_order;
        start();
        EXPECT_EQ(5u, disk->queue(0).depth());
        std::vector<std::unique_ptr<Buffer>> buffers;
        std::vector<BlockRequest*> requests;
        for (unsigned i = 0; i < 7; ++i) {
            buffers.push_back(std::make_unique<Buffer>(machine, 1024));
            buffers.back()->request.sector = i * 20;
            requests.push_back(&buffers.back()->request);
        }
        const int notified = model.notifications;
        BlockQueue& queue = disk->queue(0);
        EXPECT_EQ(5u, queue.submit(requests)) << "the queue of 16 descriptors holds 5 chains of 3";
        EXPECT_EQ(1, model.notifications - notified);
        EXPECT_EQ(0u, queue.submit(std::span(requests).subspan(5)));
        std::size_t ended = 0;
        while (ended < 5) ended += queue.wait({}, machine.now_ns() + ns_per_s, machine);
        EXPECT_EQ(2u, queue.submit(std::span(requests).subspan(5)));
        for (const auto& buffer : buffers) {
            EXPECT_EQ(BlockStatus::ok, disk->adaptive_queue(0).wait(buffer->request));
            EXPECT_TRUE(std::ranges::equal(on_disk(buffer->request.sector, 1024), buffer->segment.bytes()));
        }
        disk.reset();
    }
}

TEST_F(VirtioBlkTest, GathersAndScattersSegments) {
    start();
    Buffer buffer(machine, 8192);
    const DmaSpan pieces[] = {buffer.segment.subspan(4096, 1024), buffer.segment.subspan(0, 512),
                              buffer.segment.subspan(2048, 2048)};
    buffer.request.segments = pieces;
    buffer.request.sector = 9;
    EXPECT_EQ(BlockStatus::ok, run(*disk, buffer.request));
    EXPECT_TRUE(std::ranges::equal(on_disk(9, 1024), pieces[0].bytes()));
    EXPECT_TRUE(std::ranges::equal(on_disk(11, 512), pieces[1].bytes()));
    EXPECT_TRUE(std::ranges::equal(on_disk(12, 2048), pieces[2].bytes()));
}

TEST_F(VirtioBlkTest, RefusesWhatTheDiskCannotDoWithoutAskingIt) {
    model.offered |= 1u << 5;
    start();
    const int notified = model.notifications;
    Buffer buffer(machine, 1024);
    buffer.request.sector = 256;
    EXPECT_EQ(BlockStatus::out_of_range, run(*disk, buffer.request));
    buffer.request.sector = ~std::uint64_t{0};
    EXPECT_EQ(BlockStatus::out_of_range, run(*disk, buffer.request));
    buffer.request.sector = 0;
    buffer.request.operation = BlockOperation::write;
    EXPECT_EQ(BlockStatus::read_only, run(*disk, buffer.request));
    buffer.request.operation = BlockOperation::read;
    buffer.segment.size = 100;
    EXPECT_EQ(BlockStatus::invalid_request, run(*disk, buffer.request));
    buffer.request.segments = {};
    EXPECT_EQ(BlockStatus::invalid_request, run(*disk, buffer.request));
    buffer.request.fua = true;
    EXPECT_EQ(BlockStatus::unsupported, run(*disk, buffer.request));
    EXPECT_EQ(notified, model.notifications);
}

TEST_F(VirtioBlkTest, KeepsToTheBlockSizeOfTheDisk) {
    model.block_size = 4096;
    model.capacity = 256;
    start();
    EXPECT_EQ(4096u, disk->info().logical_block);
    Buffer buffer(machine, 4096);
    buffer.request.sector = 8;
    EXPECT_EQ(BlockStatus::ok, run(*disk, buffer.request));
    EXPECT_TRUE(std::ranges::equal(on_disk(8, 4096), buffer.segment.bytes()));
    buffer.request.sector = 1;
    EXPECT_EQ(BlockStatus::invalid_request, run(*disk, buffer.request));
    buffer.request.sector = 8;
    buffer.segment.size = 512;
    EXPECT_EQ(BlockStatus::invalid_request, run(*disk, buffer.request));
}

TEST_F(VirtioBlkTest, AFlushWithoutACacheEndsAtOnce) {
    model.offered &= ~std::uint64_t{1u << 9};
    start();
    auto sync = SyncDisk::create(*disk, machine);
    EXPECT_TRUE(sync->flush());
    EXPECT_EQ(0, model.flushes);
}

TEST_F(VirtioBlkTest, KeepsToTheLargestSegmentOfTheDevice) {
    model.size_max = 1536;
    model.offered |= 1u << 1;
    start();
    EXPECT_EQ(1536u, disk->info().max_transfer);
    auto sync = SyncDisk::create(*disk, machine);
    std::vector<std::byte> data(5000 / 512 * 512);
    ASSERT_TRUE(sync->read(2, data));
    EXPECT_TRUE(std::ranges::equal(on_disk(2, data.size()), data));
}

TEST_F(VirtioBlkTest, ErrorsOfTheDeviceAreErrorsOfTheRequestAlone) {
    start();
    Buffer buffer(machine, 512);
    model.fault = Fault::io_error;
    EXPECT_EQ(BlockStatus::medium_error, run(*disk, buffer.request));
    model.fault = Fault::unsupported;
    EXPECT_EQ(BlockStatus::unsupported, run(*disk, buffer.request));
    model.fault = Fault::none;
    EXPECT_EQ(BlockStatus::ok, run(*disk, buffer.request));
    EXPECT_EQ(2u, disk->queue(0).counters().failed);
}

TEST_F(VirtioBlkTest, AReadThatWasCutShortIsAnError) {
    start();
    Buffer buffer(machine, 1024);
    model.fault = Fault::short_read;
    EXPECT_EQ(BlockStatus::medium_error, run(*disk, buffer.request));
    EXPECT_EQ(1u, disk->queue(0).counters().faults);
}

class VirtioBlkLiarTest : public VirtioBlkTest, public testing::WithParamInterface<Fault> {};

TEST_P(VirtioBlkLiarTest, ADeviceThatBreaksTheProtocolIsSwitchedOff) {
    start();
    Buffer first(machine, 512);
    Buffer second(machine, 512);
    BlockRequest* const both[] = {&first.request, &second.request};
    model.fault = GetParam();
    ASSERT_EQ(2u, disk->queue(0).submit(both));
    disk->adaptive_queue(0).wait(first.request);
    disk->adaptive_queue(0).wait(second.request);
    EXPECT_EQ(BlockStatus::device_failed, second.request.status);
    EXPECT_GE(disk->queue(0).counters().faults, 1u);
    EXPECT_FALSE(pci.at(VirtioBlkModel::address).get16(pci_reg::command) & pci_command::bus_master);
    // From here on every request ends at once.
    EXPECT_EQ(BlockStatus::device_failed, run(*disk, first.request));
    EXPECT_EQ(2u + 1u + 1u, disk->queue(0).counters().completed) << "the serial number, two, and one";
}

INSTANTIATE_TEST_SUITE_P(Faults, VirtioBlkLiarTest,
                         testing::Values(Fault::unknown_used_id, Fault::free_used_id, Fault::used_twice,
                                         Fault::index_jump, Fault::bad_status, Fault::no_status));

TEST_F(VirtioBlkTest, AStuckDeviceTimesOutAndIsBroughtBack) {
    start();
    disk->set_timeout_ns(50 * ns_per_ms);
    Buffer buffer(machine, 512);
    model.fault = Fault::silent;
    const std::uint64_t before = machine.now_ns();
    EXPECT_EQ(BlockStatus::timed_out, run(*disk, buffer.request));
    EXPECT_LT(machine.now_ns() - before, 60 * ns_per_ms);
    model.fault = Fault::none;
    EXPECT_EQ(BlockStatus::ok, run(*disk, buffer.request));
    EXPECT_TRUE(std::ranges::equal(on_disk(0, 512), buffer.segment.bytes()));
}

TEST_F(VirtioBlkTest, ARequestThatWasNeverSubmittedIsNotWaitedForForEver) {
    start();
    disk->set_timeout_ns(50 * ns_per_ms);
    Buffer buffer(machine, 512);
    EXPECT_EQ(BlockStatus::invalid_request, disk->adaptive_queue(0).wait(buffer.request));
}

TEST_F(VirtioBlkTest, AQueueFullOfStuckRequestsIsRecovered) {
    start();
    std::vector<std::unique_ptr<Buffer>> stuck;
    model.fault = Fault::silent;
    for (std::size_t i = 0; i < disk->queue(0).depth(); ++i) {
        stuck.push_back(std::make_unique<Buffer>(machine, 512));
        BlockRequest* const one[] = {&stuck.back()->request};
        disk->adaptive_queue(0).submit(one);
    }
    Buffer buffer(machine, 512);
    BlockRequest* const last[] = {&buffer.request};
    disk->adaptive_queue(0).submit(last);
    for (const auto& one : stuck) EXPECT_EQ(BlockStatus::timed_out, one->request.status);
    model.fault = Fault::none;
    EXPECT_EQ(BlockStatus::ok, disk->adaptive_queue(0).wait(buffer.request));
}

TEST_F(VirtioBlkTest, ADeviceThatCannotBeResetIsCutOff) {
    start();
    disk->set_timeout_ns(50 * ns_per_ms);
    Buffer buffer(machine, 512);
    model.fault = Fault::never_out_of_reset;
    EXPECT_EQ(BlockStatus::timed_out, run(*disk, buffer.request));
    EXPECT_FALSE(pci.at(VirtioBlkModel::address).get16(pci_reg::command) & pci_command::bus_master);
    EXPECT_EQ(BlockStatus::device_failed, run(*disk, buffer.request));
}

TEST_F(VirtioBlkTest, ADiskThatDoesNotTellItsNameIsADiskAllTheSame) {
    model.fault = Fault::unsupported;
    model.faults_left = 1;
    start();
    EXPECT_EQ("", disk->info().serial);
}

TEST_F(VirtioBlkTest, RefusesDevicesThatItCannotUse) {
    model.offered &= ~(std::uint64_t{1} << 32);
    EXPECT_EQ("it does not offer version 1 of the standard", reason_of_refusal());
    model.offered |= std::uint64_t{1} << 32;
    model.refuse_features = true;
    EXPECT_EQ("it needs a feature that the driver does not have", reason_of_refusal());
    model.refuse_features = false;
    for (const std::uint32_t size : {0u, 256u, 513u, 0x8000'0000u}) {
        model.block_size = size;
        EXPECT_EQ("its block size is not a power of two from 512 to 65536", reason_of_refusal());
    }
    model.block_size = 512;
    model.capacity = std::uint64_t{1} << 60;
    EXPECT_EQ("it claims an impossible size", reason_of_refusal());
    model.capacity = 0;
    model.disk.clear();
    EXPECT_EQ("it is empty", reason_of_refusal());
    model.capacity = 8;
    model.queue_max = 2;
    EXPECT_EQ("its queue is too small for one request", reason_of_refusal());
    model.queue_max = 0;
    EXPECT_EQ("its queue is too small for one request", reason_of_refusal());
    model.queue_max = 300;
    EXPECT_EQ("it works", reason_of_refusal());
    model.fault = Fault::never_out_of_reset;
    EXPECT_EQ("it did not come out of a reset within a second", reason_of_refusal());
    model.fault = Fault::none;
    machine.dma_left = 1;
    EXPECT_EQ("the test says so", reason_of_refusal());
    machine.dma_left = 100;
    model.space().set32(0x48, 0xffff'fff0);  // the common structure, far outside of the BAR
    EXPECT_EQ("it has no modern interface that the driver can reach", reason_of_refusal());
    model.space().set32(0x48, 0);
    model.space().set32(0x60, 0x8000'0000);  // the doorbell, likewise
    EXPECT_EQ("its queue's doorbell lies outside of the doorbell area", reason_of_refusal());
}

TEST_F(VirtioBlkTest, RandomRequestsAgainstAModelDisk) {
    start();
    std::mt19937 random(8);
    std::vector<std::byte> expected = model.disk;
    auto sync = SyncDisk::create(*disk, machine, 4096);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    for (int i = 0; i < 2000; ++i) {
        disk->set_mode(static_cast<IoMode>(below(io_mode_count)));
        const std::size_t sector = below(257);
        std::vector<std::byte> data((1 + below(std::min<std::size_t>(20, 257 - sector))) * 512);
        if (below(2) == 0) {
            for (std::byte& byte : data) byte = static_cast<std::byte>(random());
            ASSERT_TRUE(sync->write(sector, data));
            std::ranges::copy(data, expected.begin() + static_cast<std::ptrdiff_t>(sector * 512));
        } else {
            ASSERT_TRUE(sync->read(sector, data));
            ASSERT_TRUE(std::ranges::equal(data, std::span(expected).subspan(sector * 512, data.size())));
        }
    }
    EXPECT_EQ(expected, model.disk);
}

}  // namespace
}  // namespace exo::guest::test
