#include "vmm/devices/virtio_pci.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/devices/echo_device.h"
#include "tests/unit/devices/virtio_fixture.h"

namespace exo::test {
namespace {

using vmm::VirtioPci;
using vmm::Virtqueue;
namespace virtio = vmm::virtio;
using Common = virtio::CommonConfig;

class VirtioPciTest : public testing::Test {
  protected:
    VirtioPciTest() : device(std::move(*VirtioPci::create(ram.memory(), model))), driver(ram, *device) {
        device->connect_interrupt(0, queue_line);
        device->connect_interrupt(1, config_line);
    }

    void give(std::uint16_t head = 0) {
        driver.queue().describe(head, GuestRam::start, 16);
        driver.queue().offer(head);
        settle(*device);
    }

    GuestRam ram;
    EchoDevice model;
    CountingLine queue_line;
    CountingLine config_line;
    std::unique_ptr<VirtioPci> device;
    VirtioDriver driver;
};

TEST_F(VirtioPciTest, FreshDevice) {
    EXPECT_EQ(driver.status(), 0u);
    EXPECT_EQ(driver.read<std::uint16_t>(offsetof(Common, queue_count)), 2u);
    EXPECT_EQ(driver.read<std::uint16_t>(offsetof(Common, queue_size)), Virtqueue::max_size);
    EXPECT_EQ(driver.read<std::uint16_t>(offsetof(Common, config_vector)), virtio::no_vector);
    driver.write(offsetof(Common, queue_select), std::uint16_t{1});
    EXPECT_EQ(driver.read<std::uint16_t>(offsetof(Common, queue_notify_offset)), 1u);
    driver.write(offsetof(Common, queue_select), std::uint16_t{2});
    EXPECT_EQ(driver.read<std::uint16_t>(offsetof(Common, queue_size)), 0u) << "there is no such queue";
    EXPECT_EQ(driver.offered(), (1u << 3) | virtio::feature::version_1 | virtio::feature::event_index |
                                    virtio::feature::indirect_descriptors);
}

TEST_F(VirtioPciTest, FeaturesThatWereNotOfferedAreRefused) {
    for (const std::uint64_t features : {virtio::feature::version_1 | 1, std::uint64_t{1} << 3}) {
        driver.set_status(0);
        driver.set_status(3);
        driver.accept(features);
        driver.set_status(3 | virtio::status::features_ok);
        EXPECT_EQ(driver.status(), 3u) << features;
        driver.set_status(3 | virtio::status::driver_ok);
        EXPECT_EQ(driver.status() & virtio::status::driver_ok, 0) << "not without features";
    }
}

TEST_F(VirtioPciTest, FeaturesAreSettledOnceAccepted) {
    driver.set_up(1u << 3);
    driver.accept(0);
    EXPECT_EQ(device->state().driver_features, (1u << 3) | virtio::feature::version_1);
    EXPECT_EQ(model.started_with, (1u << 3) | virtio::feature::version_1);
}

TEST_F(VirtioPciTest, DeviceConfigurationAtAnyWidth) {
    EXPECT_EQ(driver.read<std::uint8_t>(VirtioPci::device_offset + 1), 2u);
    EXPECT_EQ(driver.read<std::uint32_t>(VirtioPci::device_offset), 0x030201u);
    EXPECT_EQ(driver.read<std::uint64_t>(VirtioPci::device_offset + 8), 0xffff'ffff'0000'0000u)
        << "past its end there is nothing";
    driver.write(VirtioPci::device_offset, std::uint32_t{0});
    EXPECT_EQ(driver.read<std::uint8_t>(VirtioPci::device_offset), 1u);
}

TEST_F(VirtioPciTest, ChainGoesThroughAndInterrupts) {
    driver.set_up(0);
    settle(*device);
    give();
    EXPECT_EQ(driver.queue().used(), 1u);
    EXPECT_EQ(driver.queue().used_element(0).length, 7u);
    EXPECT_EQ(device->state().queues[0].position,
              (vmm::VirtqueuePosition{.next_available = 1, .next_used = 1, .announced = 1}));
    EXPECT_EQ(queue_line.count, 1);
    EXPECT_EQ(config_line.count, 0);
    EXPECT_EQ(driver.read<std::uint8_t>(VirtioPci::isr_offset), virtio::interrupt_status::queue);
    EXPECT_EQ(driver.read<std::uint8_t>(VirtioPci::isr_offset), 0u) << "reading clears it";
}

TEST_F(VirtioPciTest, QueueWithoutAVectorIsPolled) {
    driver.set_up(0);
    driver.write(offsetof(Common, queue_vector), virtio::no_vector);
    give();
    EXPECT_EQ(driver.queue().used(), 1u);
    EXPECT_EQ(queue_line.count, 0);
}

TEST_F(VirtioPciTest, VectorThatThereIsNotReadsAsNone) {
    driver.write(offsetof(Common, config_vector), std::uint16_t{2});
    EXPECT_EQ(driver.read<std::uint16_t>(offsetof(Common, config_vector)), virtio::no_vector);
    driver.write(offsetof(Common, queue_vector), std::uint16_t{1});
    EXPECT_EQ(driver.read<std::uint16_t>(offsetof(Common, queue_vector)), 1u);
}

TEST_F(VirtioPciTest, NothingHappensBeforeDriverOk) {
    driver.set_status(3);
    driver.accept(virtio::feature::version_1);
    driver.set_status(3 | virtio::status::features_ok);
    RawQueue queue(ram, 8);
    driver.set_queue(0, queue.setup(), 0);
    queue.describe(0, GuestRam::start, 16);
    queue.offer(0);
    settle(*device);
    EXPECT_EQ(queue.used(), 0u);
}

TEST_F(VirtioPciTest, EnabledQueueKeepsItsSetup) {
    driver.set_up(0);
    const auto before = device->state().queues[0].setup;
    driver.write(offsetof(Common, queue_size), std::uint16_t{2});
    driver.write(offsetof(Common, queue_descriptors), std::uint32_t{0});
    driver.write(offsetof(Common, queue_enable), std::uint16_t{0});
    EXPECT_EQ(device->state().queues[0].setup, before);
    give();
    EXPECT_EQ(driver.queue().used(), 1u);
}

TEST_F(VirtioPciTest, BrokenQueueStopsTheDeviceUntilAReset) {
    driver.set_up(0);
    give(1);
    driver.queue().offer(5000);
    settle(*device);
    EXPECT_TRUE(driver.needs_reset());
    EXPECT_EQ(config_line.count, 1);
    EXPECT_THAT(device->fault(), testing::HasSubstr("queue 0: "));
    EXPECT_EQ(device->counters().faults, 1u);
    EXPECT_NE(driver.read<std::uint8_t>(VirtioPci::isr_offset) & virtio::interrupt_status::configuration, 0);
    const auto used = driver.queue().used();
    give(2);
    EXPECT_EQ(driver.queue().used(), used) << "it does nothing any more";
    driver.set_status(driver.status() & ~virtio::status::needs_reset);
    EXPECT_TRUE(driver.needs_reset()) << "only a reset takes it back";
    driver.set_up(0);
    EXPECT_FALSE(driver.needs_reset());
    give();
    EXPECT_EQ(driver.queue().used(), 1u);
}

TEST_F(VirtioPciTest, QueueThatIsNoneStopsTheDevice) {
    driver.set_status(3);
    driver.accept(virtio::feature::version_1);
    driver.set_status(3 | virtio::status::features_ok);
    driver.write(offsetof(Common, config_vector), std::uint16_t{1});
    driver.set_queue(0, {.size = 8, .descriptors = {8}, .driver_area = {}, .device_area = {}}, 0);
    driver.set_status(3 | virtio::status::features_ok | virtio::status::driver_ok);
    EXPECT_TRUE(driver.needs_reset());
    settle(*device);
    EXPECT_EQ(config_line.count, 1);
}

TEST_F(VirtioPciTest, ResetWaitsForWhatIsUnderWay) {
    driver.set_up(0);
    model.busy = true;
    const int stops = model.stops;
    driver.set_status(0);
    EXPECT_NE(driver.status(), 0u);
    driver.set_status(3);
    EXPECT_EQ(model.stops, stops);
    model.busy = false;
    settle(*device);
    EXPECT_EQ(driver.status(), 0u);
    EXPECT_EQ(model.stops, stops + 1);
}

TEST_F(VirtioPciTest, AnyWidthRingsADoorbell) {
    driver.write(VirtioPci::notify_offset, std::uint16_t{0});
    driver.write(VirtioPci::notify_offset + 4, std::uint32_t{1});
    driver.write(VirtioPci::notify_offset + 8, std::uint16_t{2});
    driver.write(VirtioPci::notify_offset + 2, std::uint16_t{0});
    EXPECT_EQ(device->counters().doorbells, 2u);
}

TEST_F(VirtioPciTest, CapabilitiesLieWithinTheBar) {
    for (const auto& capability : vmm::virtio_capabilities(model)) {
        ASSERT_EQ(capability[0], capability.size() + 2);
        std::uint32_t offset = 0;
        std::uint32_t length = 0;
        std::memcpy(&offset, &capability[6], 4);
        std::memcpy(&length, &capability[10], 4);
        EXPECT_LE(std::uint64_t{offset} + length, VirtioPci::msix_table_offset);
    }
}

TEST_F(VirtioPciTest, OddAccessesReadAsOnesAndWriteNothing) {
    EXPECT_EQ(driver.read<std::uint32_t>(sizeof(Common)), 0xffff'ffffu);
    EXPECT_EQ(driver.read<std::uint32_t>(VirtioPci::bar_size - 4), 0xffff'ffffu);
    driver.write(offsetof(Common, status), std::uint32_t{0x0f});
    driver.write(offsetof(Common, queue_select), std::uint8_t{1});
    driver.write(offsetof(Common, driver_feature), std::uint64_t{1});
    EXPECT_EQ(driver.status(), 0u);
    EXPECT_EQ(device->state().queue_select, 0u);
    EXPECT_EQ(device->state().driver_features, 0u);
}

}  // namespace
}  // namespace exo::test
