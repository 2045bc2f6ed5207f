// The block device with a driver that writes any chain: what each request does and what each mistake costs.

#include "vmm/devices/virtio_blk.h"

#include <gtest/gtest.h>

#include "tests/unit/devices/raw_driver.h"
#include "tests/unit/devices/scripted_disk.h"
#include "tests/unit/devices/virtio_fixture.h"
#include "vmm/storage/limited_disk.h"

namespace exo::test {
namespace {

namespace virtio = vmm::virtio;
namespace blk = vmm::virtio::blk;
using blk::Status;

constexpr std::uint64_t every_feature = blk::feature::flush | blk::feature::discard |
                                        blk::feature::write_zeroes | blk::feature::multi_queue |
                                        virtio::feature::indirect_descriptors;
constexpr auto untouched = static_cast<Status>(0xee);

class VirtioBlkTest : public testing::Test {
  protected:
    static constexpr std::size_t sectors = 2048;

    explicit VirtioBlkTest(vmm::DiskGeometry geometry = {}, std::uint32_t queues = 1)
        : disk(sectors * 512, geometry),
          model(disk, {.serial = "a serial number of more than 20", .queue_count = queues}),
          device(std::move(*vmm::VirtioPci::create(ram.memory(), model))),
          driver(ram, *device) {
        device->connect_interrupt(0, line);
        device->connect_interrupt(1, line);
        for (std::size_t i = 0; i < disk.content.size(); ++i)
            disk.content[i] = static_cast<std::byte>(i / 512 + i % 7);
        memory = ram.allocate(64 * 4096);
        data = memory + 4096;
    }

    /// Offers header, data and status as one chain from descriptor 0 on.
    void offer(std::uint32_t type, std::uint64_t sector, std::uint32_t length, bool device_writes) {
        RawQueue& queue = driver.queue();
        queue.put({memory}, blk::Header{type, 0, sector});
        queue.put({memory + 64}, untouched);
        queue.describe(0, memory, sizeof(blk::Header), virtio::descriptor_next,
                       length > 0 ? std::uint16_t{1} : std::uint16_t{2});
        const auto direction = device_writes ? virtio::descriptor_write : std::uint16_t{0};
        queue.describe(1, data, length, static_cast<std::uint16_t>(virtio::descriptor_next | direction), 2);
        queue.describe(2, memory + 64, 1, virtio::descriptor_write);
        queue.offer(0);
    }
    Status status() { return driver.queue().get<Status>({memory + 64}); }
    Status run(std::uint32_t type, std::uint64_t sector, std::uint32_t length, bool device_writes) {
        offer(type, sector, length, device_writes);
        settle(*device);
        return status();
    }
    Status run_range(std::uint32_t type, const blk::Range& range) {
        driver.queue().put({data}, range);
        return run(type, 0, sizeof(range), false);
    }
    std::uint32_t written() {
        return driver.queue().used_element(static_cast<std::uint16_t>(driver.queue().used() - 1)).length;
    }
    std::span<std::byte> buffer(std::size_t size = 4096) { return ram.bytes(data, size); }

    GuestRam ram;
    ScriptedDisk disk;
    CountingLine line;
    vmm::VirtioBlk model;
    std::unique_ptr<vmm::VirtioPci> device;
    VirtioDriver driver;
    std::uint64_t memory = 0;
    std::uint64_t data = 0;
};

TEST_F(VirtioBlkTest, ConfigurationTellsTheDisk) {
    const auto config = driver.read<blk::Config>(vmm::VirtioPci::device_offset);
    EXPECT_EQ(config.capacity, sectors);
    EXPECT_EQ(config.block_size, 512u);
    EXPECT_EQ(config.seg_max, 254u);
    EXPECT_EQ(config.queue_count, 1u);
    EXPECT_GT(config.max_discard_sectors, 0u);
    EXPECT_EQ(config.max_discard_segments, 1u);
    EXPECT_EQ(driver.offered() & blk::feature::read_only, 0u);
}

TEST_F(VirtioBlkTest, ReadsAndWrites) {
    driver.set_up(every_feature);
    EXPECT_EQ(run(blk::type_in, 5, 1024, true), Status::ok);
    EXPECT_EQ(written(), 1025u);
    EXPECT_EQ(std::memcmp(buffer().data(), &disk.content[5 * 512], 1024), 0);
    std::ranges::fill(buffer(), std::byte{0x5a});
    EXPECT_EQ(run(blk::type_out, 9, 512, false), Status::ok);
    EXPECT_EQ(written(), 1u);
    EXPECT_EQ(disk.content[9 * 512], std::byte{0x5a});
    EXPECT_NE(disk.content[10 * 512], std::byte{0x5a});
    EXPECT_EQ(disk.fua_writes, 0u);
    EXPECT_EQ(model.counters().reads, 1u);
    EXPECT_EQ(model.counters().bytes_written, 512u);
    EXPECT_EQ(line.count, 2);
}

TEST_F(VirtioBlkTest, LastSectorAndBeyond) {
    driver.set_up(every_feature);
    EXPECT_EQ(run(blk::type_in, sectors - 1, 512, true), Status::ok);
    EXPECT_EQ(run(blk::type_in, sectors, 512, true), Status::io_error);
    EXPECT_EQ(written(), 0u);
    EXPECT_EQ(run(blk::type_out, sectors - 1, 1024, false), Status::io_error);
    EXPECT_EQ(run(blk::type_out, ~std::uint64_t{0}, 512, false), Status::io_error);
    EXPECT_EQ(run(blk::type_out, ~std::uint64_t{0} / 512 + 1, 512, false), Status::io_error);
    EXPECT_EQ(run(blk::type_in, 0, 511, true), Status::io_error);
    EXPECT_EQ(run(blk::type_in, 0, 0, true), Status::io_error);
    EXPECT_FALSE(driver.needs_reset());
    EXPECT_EQ(disk.order.size(), 1u) << "the disk saw only what fits";
}

TEST_F(VirtioBlkTest, WhereTheDriverCutsMeansNothing) {
    RawQueue& queue = driver.set_up(every_feature);
    queue.put({memory}, blk::Header{blk::type_out, 0, 3});
    std::ranges::fill(buffer(), std::byte{0x77});
    // The header in three pieces, its last together with data; data in odd pieces; and the other way round.
    queue.describe(0, memory, 1, virtio::descriptor_next, 1);
    queue.describe(1, memory + 1, 14, virtio::descriptor_next, 2);
    std::memmove(ram.at(data - 1), ram.at(memory + 15), 1);
    queue.describe(2, data - 1, 1 + 100, virtio::descriptor_next, 3);
    queue.describe(3, data + 100, 412, virtio::descriptor_next, 4);
    queue.describe(4, memory + 64, 1, virtio::descriptor_write);
    queue.put({memory + 64}, untouched);
    queue.offer(0);
    settle(*device);
    EXPECT_EQ(status(), Status::ok);
    EXPECT_EQ(disk.content[3 * 512], std::byte{0x77});
    EXPECT_EQ(disk.content[4 * 512 - 1], std::byte{0x77});

    queue.put({memory}, blk::Header{blk::type_in, 0, 20});
    queue.describe(0, memory, 16, virtio::descriptor_next, 1);
    queue.describe(1, data, 513, virtio::descriptor_write);
    queue.put({data + 512}, untouched);
    queue.offer(0);
    settle(*device);
    EXPECT_EQ(queue.get<Status>({data + 512}), Status::ok) << "the status shares the data's buffer";
    EXPECT_EQ(std::memcmp(buffer().data(), &disk.content[20 * 512], 512), 0);
}

TEST_F(VirtioBlkTest, FlushAndWriteThrough) {
    driver.set_up(every_feature);
    EXPECT_EQ(run(blk::type_flush, 0, 0, true), Status::ok);
    EXPECT_EQ(disk.flushes, 1u);
    driver.set_up(every_feature & ~blk::feature::flush);
    EXPECT_EQ(run(blk::type_flush, 0, 0, true), Status::unsupported);
    EXPECT_EQ(run(blk::type_out, 0, 512, false), Status::ok);
    EXPECT_EQ(disk.fua_writes, 1u) << "who knows no flush counts on each write";
    EXPECT_EQ(run_range(blk::type_write_zeroes, {0, 1, 0}), Status::unsupported);
}

TEST_F(VirtioBlkTest, DiscardAndWriteZeroes) {
    driver.set_up(every_feature);
    EXPECT_EQ(run_range(blk::type_discard, {8, 16, 0}), Status::ok);
    EXPECT_EQ(run_range(blk::type_write_zeroes, {100, 2, 0}), Status::ok);
    EXPECT_EQ(run_range(blk::type_write_zeroes, {102, 2, blk::range_unmap}), Status::ok);
    ASSERT_EQ(disk.ranges.size(), 3u);
    EXPECT_EQ(disk.ranges[0].operation, vmm::DiskOperation::discard);
    EXPECT_EQ(disk.ranges[0].offset, 8u * 512);
    EXPECT_EQ(disk.ranges[0].length, 16u * 512);
    EXPECT_FALSE(disk.ranges[1].may_unmap);
    EXPECT_TRUE(disk.ranges[2].may_unmap);
    EXPECT_EQ(disk.content[101 * 512], std::byte{0});
    EXPECT_EQ(model.counters().discards, 1u);
    EXPECT_EQ(model.counters().zeroed_ranges, 2u);
}

TEST_F(VirtioBlkTest, RangesThatAreRefused) {
    driver.set_up(every_feature);
    EXPECT_EQ(run_range(blk::type_discard, {0, 1, blk::range_unmap}), Status::unsupported);
    EXPECT_EQ(run_range(blk::type_write_zeroes, {0, 1, 2}), Status::unsupported);
    EXPECT_EQ(run_range(blk::type_discard, {sectors, 1, 0}), Status::io_error);
    EXPECT_EQ(run_range(blk::type_discard, {0, 0, 0}), Status::io_error);
    EXPECT_EQ(run_range(blk::type_write_zeroes, {0, 0xffff'ffff, 0}), Status::io_error);
    EXPECT_EQ(run(blk::type_discard, 0, 8, false), Status::unsupported);
    EXPECT_EQ(run(blk::type_discard, 0, 32, false), Status::unsupported) << "one range at a time";
    EXPECT_TRUE(disk.ranges.empty());
    driver.set_up(blk::feature::flush);
    EXPECT_EQ(run_range(blk::type_discard, {0, 1, 0}), Status::unsupported);
    EXPECT_EQ(run_range(blk::type_write_zeroes, {0, 1, 0}), Status::unsupported);
}

TEST_F(VirtioBlkTest, SerialNumber) {
    driver.set_up(every_feature);
    EXPECT_EQ(run(blk::type_get_id, 0, 20, true), Status::ok);
    EXPECT_EQ(std::memcmp(buffer().data(), "a serial number of m", 20), 0);
    std::ranges::fill(buffer(), std::byte{1});
    EXPECT_EQ(run(blk::type_get_id, 0, 5, true), Status::ok);
    EXPECT_EQ(buffer()[4], std::byte{'r'});
    EXPECT_EQ(buffer()[5], std::byte{1});
}

TEST_F(VirtioBlkTest, UnknownRequest) {
    driver.set_up(every_feature);
    EXPECT_EQ(run(99, 0, 512, true), Status::unsupported);
    EXPECT_EQ(run(blk::type_in, 0, 512, true), Status::ok);
}

TEST_F(VirtioBlkTest, ErrorsOfTheDisk) {
    driver.set_up(every_feature);
    disk.fail = [](const vmm::DiskRequest&) { return ENOSPC; };
    EXPECT_EQ(run(blk::type_out, 0, 512, false), Status::io_error);
    disk.fail = nullptr;
    disk.short_by = 1;
    EXPECT_EQ(run(blk::type_in, 0, 512, true), Status::io_error);
    EXPECT_EQ(written(), 0u);
}

TEST_F(VirtioBlkTest, ChainWithoutHeaderOrStatusStopsTheDevice) {
    for (const bool has_status : {false, true}) {
        RawQueue& queue = driver.set_up(every_feature);
        queue.describe(0, memory, has_status ? 15 : 16,
                       has_status ? virtio::descriptor_next : std::uint16_t{0}, 1);
        queue.describe(1, memory + 64, 1, virtio::descriptor_write);
        queue.offer(0);
        settle(*device);
        EXPECT_TRUE(driver.needs_reset());
        EXPECT_EQ(queue.used(), 0u);
    }
}

TEST_F(VirtioBlkTest, HeaderIsReadOnce) {
    driver.set_up(every_feature);
    disk.hold = true;
    offer(blk::type_in, 5, 512, true);
    device->service();
    driver.queue().put({memory}, blk::Header{blk::type_out, 0, 99'999'999});
    disk.release();
    settle(*device);
    EXPECT_EQ(status(), Status::ok);
    EXPECT_EQ(disk.order, std::vector<std::uint64_t>{5 * 512});
}

TEST_F(VirtioBlkTest, NoMoreThanTheDiskTakesAtOnce) {
    RawQueue& queue = driver.set_up(every_feature);
    disk.depth_limit = 3;
    disk.hold = true;
    offer(blk::type_in, 0, 512, true);
    for (int i = 0; i < 9; ++i) queue.offer(0);
    settle(*device);
    EXPECT_EQ(disk.held(), 3u);
    for (int i = 0; i < 10; ++i) {
        disk.release(1);
        settle(*device);
    }
    EXPECT_EQ(queue.used(), 10u);
    EXPECT_EQ(disk.most_held(), 3u);
}

TEST_F(VirtioBlkTest, ResetInMidRequestTouchesNothingAfterwards) {
    RawQueue& queue = driver.set_up(every_feature);
    disk.hold = true;
    offer(blk::type_in, 5, 512, true);
    settle(*device);
    driver.set_status(0);
    EXPECT_NE(driver.status(), 0u) << "the disk still writes into guest memory";
    EXPECT_FALSE(device->quiescent());
    disk.release();
    settle(*device);
    EXPECT_EQ(driver.status(), 0u);
    EXPECT_TRUE(device->quiescent());
    EXPECT_EQ(queue.used(), 0u);
    EXPECT_EQ(status(), untouched);
    disk.hold = false;
    driver.set_up(every_feature);
    EXPECT_EQ(run(blk::type_in, 5, 512, true), Status::ok);
}

TEST_F(VirtioBlkTest, NeedsNoDoorbellWhileItPolls) {
    RawQueue& queue = driver.set_up(every_feature & ~virtio::feature::event_index);
    settle(*device);
    EXPECT_EQ(queue.used_flags(), 0u);
    EXPECT_FALSE(device->service(vmm::Pass::poll));
    EXPECT_EQ(queue.used_flags(), virtio::used_no_notify);
    offer(blk::type_in, 5, 512, true);
    EXPECT_TRUE(device->service(vmm::Pass::poll));
    EXPECT_EQ(status(), Status::ok);
    EXPECT_FALSE(device->service(vmm::Pass::poll)) << "nothing more";
    EXPECT_EQ(queue.used_flags(), virtio::used_no_notify);
    offer(blk::type_in, 5, 512, true);
    settle(*device);
    EXPECT_EQ(queue.used(), 2u) << "it came between the poll and the rest";
    EXPECT_EQ(queue.used_flags(), 0u);
}

TEST_F(VirtioBlkTest, ResetDoesNotWaitForLimitedRequests) {
    ManualClock clock;
    vmm::LimitedDisk limited(disk, clock, {.operations = 1});
    vmm::VirtioBlk slow(limited, {});
    auto transport = std::move(*vmm::VirtioPci::create(ram.memory(), slow));
    transport->connect_interrupt(0, line);
    transport->connect_interrupt(1, line);
    VirtioDriver other(ram, *transport);
    RawQueue& queue = other.set_up(every_feature);
    for (int i = 0; i < 3; ++i) {
        queue.put({memory}, blk::Header{blk::type_in, 0, 0});
        queue.describe(0, memory, sizeof(blk::Header), virtio::descriptor_next, 1);
        queue.describe(1, data, 513, virtio::descriptor_write);
        queue.offer(0);
    }
    settle(*transport);
    EXPECT_EQ(queue.used(), 1u);
    EXPECT_TRUE(transport->deadline());
    other.set_status(0);
    settle(*transport);
    EXPECT_EQ(other.status(), 0u);
    EXPECT_TRUE(transport->quiescent());
    EXPECT_FALSE(transport->deadline());
}

class ReadOnlyVirtioBlk : public VirtioBlkTest {
  protected:
    ReadOnlyVirtioBlk() : VirtioBlkTest({.read_only = true}) {}
};

TEST_F(ReadOnlyVirtioBlk, SaysSoAndRefusesWrites) {
    EXPECT_NE(driver.offered() & blk::feature::read_only, 0u);
    EXPECT_EQ(driver.offered() & (blk::feature::discard | blk::feature::write_zeroes), 0u);
    driver.set_up(blk::feature::read_only | blk::feature::flush);
    EXPECT_EQ(run(blk::type_out, 0, 512, false), Status::io_error);
    EXPECT_EQ(run(blk::type_in, 0, 512, true), Status::ok);
    EXPECT_TRUE(disk.order.size() == 1);
}

class LargeBlockVirtioBlk : public VirtioBlkTest {
  protected:
    LargeBlockVirtioBlk() : VirtioBlkTest({.logical_block = 4096, .physical_block = 16384}) {}
};

TEST_F(LargeBlockVirtioBlk, TellsItsBlocksAndTakesOnlyWholeOnes) {
    const auto config = driver.read<blk::Config>(vmm::VirtioPci::device_offset);
    EXPECT_EQ(config.block_size, 4096u);
    EXPECT_EQ(config.physical_block_exponent, 2u);
    EXPECT_EQ(config.min_io_size, 4u);
    EXPECT_EQ(config.discard_sector_alignment, 32u);
    driver.set_up(every_feature);
    EXPECT_EQ(run(blk::type_in, 8, 4096, true), Status::ok);
    EXPECT_EQ(run(blk::type_in, 4, 4096, true), Status::io_error);
    EXPECT_EQ(run(blk::type_in, 8, 512, true), Status::io_error);
    EXPECT_EQ(run_range(blk::type_write_zeroes, {1, 8, 0}), Status::io_error);
}

class TwoQueueVirtioBlk : public VirtioBlkTest {
  protected:
    TwoQueueVirtioBlk() : VirtioBlkTest({}, 2) { device->connect_interrupt(2, second_line); }
    CountingLine second_line;
};

TEST_F(TwoQueueVirtioBlk, EachQueueHasItsOwnCompletionsAndInterrupt) {
    using Common = virtio::CommonConfig;
    driver.set_status(3);
    driver.accept(virtio::feature::version_1 | every_feature);
    driver.set_status(3 | virtio::status::features_ok);
    RawQueue first(ram, 8);
    RawQueue second(ram, 8);
    driver.set_queue(0, first.setup(), 0);
    driver.set_queue(1, second.setup(), 2);
    driver.set_status(3 | virtio::status::features_ok | virtio::status::driver_ok);
    EXPECT_EQ(driver.read<std::uint16_t>(offsetof(Common, queue_count)), 2u);
    disk.hold = true;
    for (RawQueue* queue : {&first, &second}) {
        queue->put({memory}, blk::Header{blk::type_in, 0, 1});
        queue->describe(0, memory, 16, virtio::descriptor_next, 1);
        queue->describe(1, data, 513, virtio::descriptor_write);
        queue->offer(0);
    }
    settle(*device);
    disk.release_last();
    settle(*device);
    EXPECT_EQ(first.used(), 0u);
    EXPECT_EQ(second.used(), 1u);
    EXPECT_EQ(line.count, 0);
    EXPECT_EQ(second_line.count, 1);
    disk.release();
    settle(*device);
    EXPECT_EQ(first.used(), 1u);
    EXPECT_EQ(line.count, 1);
}

}  // namespace
}  // namespace exo::test
