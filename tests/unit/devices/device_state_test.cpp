#include <gtest/gtest.h>

#include "tests/unit/devices/device_fixture.h"
#include "tests/unit/devices/echo_device.h"
#include "tests/unit/devices/virtio_fixture.h"
#include "vmm/base/state_archive.h"

namespace exo::test {
namespace {

std::vector<std::byte> save(vmm::QueueDevice& device) {
    vmm::StateArchive archive;
    device.exchange_state(archive);
    EXPECT_TRUE(archive.finish());
    return archive.saved();
}

vmm::Result<void> load(vmm::QueueDevice& device, std::span<const std::byte> state) {
    vmm::StateArchive archive(state);
    device.exchange_state(archive);
    return archive.finish();
}

class SavedFusionBlk : public DeviceFixture {
  protected:
    void SetUp() override {
        buffer = ram.allocate(4096);
        driver.set_up();
        for (std::uint32_t tag = 0; tag < 100; ++tag) ASSERT_EQ(run(read(tag)), block::Status::ok);
    }
    block::Request read(std::uint32_t tag) const {
        return RawDriver::transfer(block::Operation::read, tag, tag % sectors, buffer, 512);
    }
    std::uint64_t buffer = 0;
};

TEST_F(SavedFusionBlk, GoesOnWhereItWas) {
    driver.submit(read(100));  // lies in the ring while the device is saved
    const auto state = save(*device);
    device->reset();
    const auto loaded = load(*device, state);
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(save(*device), state);
    settle();
    const auto completion = driver.reap();
    ASSERT_TRUE(completion) << "the request that lay in the ring was lost";
    EXPECT_EQ(completion->tag, 100u);
    for (std::uint32_t tag = 101; tag < 300; ++tag) ASSERT_EQ(run(read(tag)), block::Status::ok) << tag;
}

TEST_F(SavedFusionBlk, ForgedStateIsRefusedOrHarmless) {
    const auto state = save(*device);
    for (std::size_t at = 0; at < state.size(); ++at) {
        for (const int flip : {0x01, 0xff}) {
            auto forged = state;
            forged[at] ^= static_cast<std::byte>(flip);
            device->reset();
            if (load(*device, forged)) settle();  // a machine that was refused never runs
        }
    }
    for (std::size_t length = 0; length < state.size(); ++length) {
        device->reset();
        EXPECT_FALSE(load(*device, std::span(state).first(length))) << length;
    }
}

class SavedVirtio : public testing::Test {
  protected:
    SavedVirtio() : device(std::move(*vmm::VirtioPci::create(ram.memory(), model))), driver(ram, *device) {
        device->connect_interrupt(0, line);
        device->connect_interrupt(1, line);
        driver.set_up(1u << 3);
        for (std::uint16_t head = 0; head < 10; ++head) offer(head);
        settle(*device);
    }
    void offer(std::uint16_t head) {
        driver.queue().describe(head, GuestRam::start, 16);
        driver.queue().offer(head);
    }

    GuestRam ram;
    EchoDevice model;
    CountingLine line;
    std::unique_ptr<vmm::VirtioPci> device;
    VirtioDriver driver;
};

TEST_F(SavedVirtio, GoesOnWhereItWas) {
    offer(10);  // lies in the queue while the device is saved
    const auto state = save(*device);
    device->reset();
    model.started_with = 0;
    const auto loaded = load(*device, state);
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(save(*device), state);
    EXPECT_NE(model.started_with & (1u << 3), 0u);
    settle(*device);
    EXPECT_EQ(device->state().queues[0].position.next_used, 11);
}

TEST_F(SavedVirtio, ForgedStateIsRefusedOrHarmless) {
    const auto state = save(*device);
    for (std::size_t at = 0; at < state.size(); ++at) {
        auto forged = state;
        forged[at] ^= std::byte{0xff};
        device->reset();
        if (load(*device, forged)) settle(*device);
    }
    for (std::size_t length = 0; length < state.size(); ++length) {
        device->reset();
        EXPECT_FALSE(load(*device, std::span(state).first(length))) << length;
    }
}

}  // namespace
}  // namespace exo::test
