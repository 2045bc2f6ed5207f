#include <gtest/gtest.h>

#include <array>

#include "tests/unit/devices/device_fixture.h"

namespace exo::test {
namespace {

namespace reg = block::reg;
using block::DeviceStatus;
using block::Feature;
using block::QueueState;

constexpr std::uint32_t ones = 0xffff'ffff;
constexpr std::uint64_t bit(Feature feature) {
    return static_cast<std::uint64_t>(feature);
}

class FusionBlkRegisters : public DeviceFixture {
  protected:
    using DeviceFixture::DeviceFixture;

    std::vector<std::byte> read(std::uint64_t offset, std::size_t size) {
        std::vector<std::byte> data(size);
        device->read(offset, data);
        return data;
    }
    bool reads_ones(std::uint64_t offset, std::size_t size) {
        return std::ranges::all_of(read(offset, size),
                                   [](std::byte byte) { return byte == std::byte{0xff}; });
    }
    /// Registers of a queue that could be enabled.
    void prepare(std::uint32_t capacity = 16) {
        driver.enable(capacity);
        driver.write_status(DeviceStatus::reset);
        driver.run();
        driver.write32(reg::ring_capacity, capacity);
        driver.write64(reg::submission_ring, driver.submission_address);
        driver.write64(reg::completion_ring, driver.completion_address);
        driver.write32(reg::queue_vector, 0);
    }
    QueueState try_enable() {
        driver.write32(reg::queue_state, static_cast<std::uint32_t>(QueueState::enabled));
        return driver.queue_state();
    }
};

class ReadOnlyRegisters : public FusionBlkRegisters {
  protected:
    ReadOnlyRegisters() : FusionBlkRegisters(vmm::DiskGeometry{.read_only = true}) {}
};

class TwoQueues : public FusionBlkRegisters {
  protected:
    TwoQueues() : FusionBlkRegisters(vmm::DiskGeometry{}, 2) {}
};

TEST_F(FusionBlkRegisters, TellWhatTheDiskIs) {
    EXPECT_EQ(driver.read32(reg::magic), block::magic);
    EXPECT_EQ(driver.read32(reg::version), block::version);
    EXPECT_EQ(driver.read64(reg::device_features), bit(Feature::flush) | bit(Feature::indirect));
    EXPECT_EQ(driver.status(), DeviceStatus::reset);
    EXPECT_EQ(driver.read32(reg::queue_count), 1u);
    EXPECT_EQ(driver.read64(reg::capacity), sectors);
    EXPECT_EQ(driver.read32(reg::logical_block), 512u);
    EXPECT_EQ(driver.read32(reg::physical_block), 512u);
    EXPECT_EQ(driver.read32(reg::max_transfer), 1u << 20);
    EXPECT_EQ(driver.read32(reg::max_segments), 256u);
    EXPECT_EQ(driver.read32(reg::max_ring_capacity), 256u);
    const auto serial = read(reg::serial, 8);
    EXPECT_EQ(std::memcmp(serial.data(), "disk.img", 8), 0);
    EXPECT_EQ(driver.read32(reg::serial + 8), 0u);
    EXPECT_EQ(driver.read32(reg::serial + 28), 0u);
}

TEST_F(ReadOnlyRegisters, SayReadOnly) {
    EXPECT_EQ(driver.read64(reg::device_features),
              bit(Feature::flush) | bit(Feature::indirect) | bit(Feature::read_only));
}

TEST_F(FusionBlkRegisters, TakeOnlyTheAccessesOfTheProtocol) {
    EXPECT_TRUE(reads_ones(reg::magic, 1));
    EXPECT_TRUE(reads_ones(reg::magic, 2));
    EXPECT_TRUE(reads_ones(reg::magic, 8));
    EXPECT_TRUE(reads_ones(reg::capacity + 4, 8));
    EXPECT_TRUE(reads_ones(reg::magic + 2, 4));
    EXPECT_TRUE(reads_ones(0x60, 4));
    EXPECT_TRUE(reads_ones(reg::serial + block::serial_size, 4));
    EXPECT_TRUE(reads_ones(reg::serial + block::serial_size, 8));
    EXPECT_TRUE(reads_ones(block::bar::doorbells, 4));
    EXPECT_TRUE(reads_ones(block::bar::doorbells - 4, 4));
    EXPECT_TRUE(reads_ones(block::bar::size + 64, 4));
    EXPECT_TRUE(reads_ones(~0ull - 3, 4));
    EXPECT_EQ(driver.read32(reg::capacity), sectors);
    EXPECT_EQ(driver.read32(reg::capacity + 4), 0u);
    // The same for writes: each of these would start the device or change a register.
    const std::array<std::byte, 2> half = {std::byte{1}};
    device->write(reg::status, half);
    EXPECT_EQ(driver.status(), DeviceStatus::reset);
    driver.write64(reg::queue_select, 1);
    EXPECT_EQ(driver.read32(reg::queue_select), 0u);
    driver.write32(reg::magic, 0);
    EXPECT_EQ(driver.read32(reg::magic), block::magic);
}

TEST_F(FusionBlkRegisters, WideOnesByHalves) {
    driver.write32(reg::submission_ring, 0x1111'1111);
    driver.write32(reg::submission_ring + 4, 0x2222'2222);
    EXPECT_EQ(driver.read64(reg::submission_ring), 0x2222'2222'1111'1111u);
    driver.write32(reg::completion_ring + 4, 0x3333'3333);
    driver.write32(reg::completion_ring, 0x4444'4444);
    EXPECT_EQ(driver.read32(reg::completion_ring), 0x4444'4444u);
    EXPECT_EQ(driver.read32(reg::completion_ring + 4), 0x3333'3333u);
    driver.write32(reg::driver_features + 4, 7);
    driver.write32(reg::driver_features, 1);
    EXPECT_EQ(driver.read64(reg::driver_features), 0x7'0000'0001u);
}

TEST_F(FusionBlkRegisters, FeaturesThatAreNotOfferedFail) {
    driver.write64(reg::driver_features, std::uint64_t{1} << 40);
    driver.write_status(DeviceStatus::running);
    EXPECT_EQ(driver.status(), DeviceStatus::failed);
    driver.write_status(DeviceStatus::running);
    EXPECT_EQ(driver.status(), DeviceStatus::failed);
    driver.run();
}

TEST_F(FusionBlkRegisters, FeaturesAreFrozenWhileRunning) {
    driver.run();
    const std::uint64_t before = driver.read64(reg::driver_features);
    driver.write64(reg::driver_features, 0);
    EXPECT_EQ(driver.read64(reg::driver_features), before);
    driver.write_status(DeviceStatus::reset);
    EXPECT_EQ(driver.read64(reg::driver_features), 0u);
}

TEST_F(FusionBlkRegisters, StatusTakesOnlyWhatTheProtocolKnows) {
    driver.write_status(DeviceStatus::failed);
    EXPECT_EQ(driver.status(), DeviceStatus::reset);
    driver.write_status(DeviceStatus::resetting);
    EXPECT_EQ(driver.status(), DeviceStatus::reset);
    driver.write32(reg::status, ones);
    EXPECT_EQ(driver.status(), DeviceStatus::reset);
}

TEST_F(FusionBlkRegisters, QueueNeedsARunningDevice) {
    driver.enable(16);
    EXPECT_EQ(driver.queue_state(), QueueState::not_running);
}

TEST_F(FusionBlkRegisters, QueueIsEnabledAndThenFrozen) {
    prepare();
    EXPECT_EQ(driver.queue_state(), QueueState::disabled);
    EXPECT_EQ(try_enable(), QueueState::enabled);
    driver.write32(reg::ring_capacity, 2);
    EXPECT_EQ(driver.read32(reg::ring_capacity), 16u);
    driver.write32(reg::queue_state, 0);
    EXPECT_EQ(driver.queue_state(), QueueState::enabled);
    driver.write_status(DeviceStatus::reset);
    EXPECT_EQ(driver.queue_state(), QueueState::disabled);
    EXPECT_EQ(driver.read32(reg::ring_capacity), 0u);
    EXPECT_EQ(driver.read32(reg::queue_vector), block::no_vector);
}

TEST_F(FusionBlkRegisters, CapacityMustBeAPowerOfTwoInRange) {
    prepare();
    for (const std::uint32_t capacity : {0u, 1u, 3u, 24u, 512u, 0x8000'0000u, ones}) {
        driver.write32(reg::ring_capacity, capacity);
        EXPECT_EQ(try_enable(), QueueState::bad_capacity) << capacity;
    }
}

TEST_F(FusionBlkRegisters, RingsMustLieInGuestMemory) {
    prepare();
    const std::uint64_t good = driver.submission_address;
    for (const std::uint64_t address : {good + 64, good + 8, std::uint64_t{0}, ram.end(), ram.end() - 4096,
                                        GuestRam::start - 4096, UINT64_MAX, UINT64_MAX - 4095}) {
        driver.write64(reg::submission_ring, address);
        EXPECT_EQ(try_enable(), QueueState::bad_address) << std::hex << address;
    }
    driver.write64(reg::submission_ring, good);
    driver.write64(reg::completion_ring, ram.end());
    EXPECT_EQ(try_enable(), QueueState::bad_address);
}

TEST_F(FusionBlkRegisters, RingsMayNotOverlap) {
    prepare(2);
    driver.write64(reg::completion_ring, driver.submission_address);
    EXPECT_EQ(try_enable(), QueueState::bad_address);
    driver.write64(reg::completion_ring, driver.completion_address);
    EXPECT_EQ(try_enable(), QueueState::enabled);
}

TEST_F(FusionBlkRegisters, RingsMustBeFormattedSo) {
    prepare();
    auto& identity = driver.submission_ring->header().identity;
    const auto good = identity;
    const auto with = [&](auto change) {
        identity = good;
        change();
        const QueueState state = try_enable();
        identity = good;
        return state;
    };
    EXPECT_EQ(with([&] { identity.magic ^= 1; }), QueueState::bad_ring);
    EXPECT_EQ(with([&] { identity.version += 1; }), QueueState::bad_ring);
    EXPECT_EQ(with([&] { identity.slot_bytes = 128; }), QueueState::bad_ring);
    EXPECT_EQ(with([&] { identity.capacity = 8; }), QueueState::bad_ring);
    EXPECT_EQ(with([&] { identity.capacity = 65536; }), QueueState::bad_ring);
    EXPECT_EQ(with([&] { identity.capacity = ones; }), QueueState::bad_ring);
    EXPECT_EQ(with([&] { identity.producers = fusion::Sharing::many; }), QueueState::bad_ring);
    EXPECT_EQ(with([&] { identity.consumers = static_cast<fusion::Sharing>(9); }), QueueState::bad_ring);
    EXPECT_EQ(with([] {}), QueueState::enabled);
}

TEST_F(FusionBlkRegisters, VectorMustExist) {
    prepare();
    for (const std::uint32_t vector : {1u, 0xfffeu, ones}) {
        driver.write32(reg::queue_vector, vector);
        EXPECT_EQ(try_enable(), QueueState::bad_vector) << vector;
    }
    driver.write32(reg::queue_vector, block::no_vector);
    EXPECT_EQ(try_enable(), QueueState::enabled);
}

TEST_F(FusionBlkRegisters, QueuesThatDoNotExist) {
    driver.run();
    driver.write32(reg::queue_select, 1);
    EXPECT_EQ(driver.read32(reg::queue_select), 1u);
    EXPECT_EQ(driver.read32(reg::queue_state), ones);
    driver.write32(reg::queue_state, 1);
    driver.write32(reg::queue_select, ones);
    EXPECT_EQ(driver.read32(reg::ring_capacity), ones);
    driver.write32(reg::ring_capacity, 16);
}

TEST_F(FusionBlkRegisters, DoorbellWriteSignalsItsQueue) {
    driver.doorbell();
    eventfd_t count = 0;
    EXPECT_EQ(::eventfd_read(device->doorbell_fd(0), &count), 0);
    EXPECT_EQ(count, 1u);
    driver.write32(block::bar::doorbell(1), 1);  // there is no such queue
    driver.write32(block::bar::doorbell(0) + 2, 1);
    driver.write64(block::bar::doorbell(0), 1);
    driver.write32(block::bar::msix_table, 1);
    EXPECT_NE(::eventfd_read(device->doorbell_fd(0), &count), 0);
}

TEST_F(TwoQueues, HaveRegistersAndDoorbellsOfTheirOwn) {
    EXPECT_EQ(driver.read32(reg::queue_count), 2u);
    driver.write32(reg::ring_capacity, 8);
    driver.write32(reg::queue_select, 1);
    EXPECT_EQ(driver.read32(reg::ring_capacity), 0u);
    driver.write32(reg::ring_capacity, 32);
    driver.write32(reg::queue_select, 0);
    EXPECT_EQ(driver.read32(reg::ring_capacity), 8u);
    driver.write32(block::bar::doorbell(1), 1);
    eventfd_t count = 0;
    EXPECT_NE(::eventfd_read(device->doorbell_fd(0), &count), 0);
    EXPECT_EQ(::eventfd_read(device->doorbell_fd(1), &count), 0);
}

TEST(FusionBlkCreate, RefusesAnImpossibleNumberOfQueues) {
    GuestRam ram;
    ScriptedDisk disk(512);
    ManualClock clock;
    EXPECT_FALSE(vmm::FusionBlk::create(ram.memory(), disk, clock, {.queue_count = 0}));
    EXPECT_FALSE(vmm::FusionBlk::create(ram.memory(), disk, clock, {.queue_count = 1025}));
}

}  // namespace
}  // namespace exo::test
