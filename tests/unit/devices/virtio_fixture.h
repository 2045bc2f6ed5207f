#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "tests/unit/devices/raw_driver.h"
#include "tests/unit/devices/raw_queue.h"
#include "vmm/devices/virtio_pci.h"

namespace exo::test {

/// A virtio device behind its registers, driven by hand.
class VirtioDriver {
  public:
    using Common = vmm::virtio::CommonConfig;
    static constexpr std::uint8_t acknowledge_and_driver = 3;

    VirtioDriver(GuestRam& ram, vmm::VirtioPci& device) : ram_(ram), device_(device) {}

    template <typename T>
    T read(std::uint64_t offset) {
        T value{};
        device_.read(offset, std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }
    template <typename T>
    void write(std::uint64_t offset, T value) {
        device_.write(offset, std::as_bytes(std::span(&value, 1)));
    }

    std::uint8_t status() { return read<std::uint8_t>(offsetof(Common, status)); }
    void set_status(int value) { write(offsetof(Common, status), static_cast<std::uint8_t>(value)); }
    bool needs_reset() { return (status() & vmm::virtio::status::needs_reset) != 0; }

    std::uint64_t offered() {
        std::uint64_t features = 0;
        for (std::uint32_t half = 0; half < 2; ++half) {
            write(offsetof(Common, device_feature_select), half);
            features |= std::uint64_t{read<std::uint32_t>(offsetof(Common, device_feature))} << (32 * half);
        }
        return features;
    }
    void accept(std::uint64_t features) {
        for (std::uint32_t half = 0; half < 2; ++half) {
            write(offsetof(Common, driver_feature_select), half);
            write(offsetof(Common, driver_feature), static_cast<std::uint32_t>(features >> (32 * half)));
        }
    }
    void set_queue(std::uint16_t index, const vmm::VirtqueueSetup& setup, std::uint16_t vector) {
        write(offsetof(Common, queue_select), index);
        write(offsetof(Common, queue_size), setup.size);
        write(offsetof(Common, queue_vector), vector);
        write_address(offsetof(Common, queue_descriptors), setup.descriptors);
        write_address(offsetof(Common, queue_driver), setup.driver_area);
        write_address(offsetof(Common, queue_device), setup.device_area);
        write(offsetof(Common, queue_enable), std::uint16_t{1});
    }
    /// From reset to running with one queue: vector 0 for it, vector 1 for the configuration.
    RawQueue& set_up(std::uint64_t features, std::uint16_t size = 64) {
        set_status(0);
        set_status(acknowledge_and_driver);
        accept(features | vmm::virtio::feature::version_1);
        set_status(acknowledge_and_driver | vmm::virtio::status::features_ok);
        EXPECT_NE(status() & vmm::virtio::status::features_ok, 0);
        write(offsetof(Common, config_vector), std::uint16_t{1});
        queue_ = std::make_unique<RawQueue>(ram_, size);
        set_queue(0, queue_->setup(), 0);
        set_status(acknowledge_and_driver | vmm::virtio::status::features_ok |
                   vmm::virtio::status::driver_ok);
        return *queue_;
    }
    RawQueue& queue() { return *queue_; }

  private:
    void write_address(std::uint64_t offset, vmm::GuestAddress address) {
        write(offset, static_cast<std::uint32_t>(address.value));
        write(offset + 4, static_cast<std::uint32_t>(address.value >> 32));
    }

    GuestRam& ram_;
    vmm::VirtioPci& device_;
    std::unique_ptr<RawQueue> queue_;
};

/// Lets a device work until it has nothing more to do. The bound is far beyond what any test needs.
inline void settle(vmm::QueueDevice& device) {
    for (int passes = 0; device.service(); ++passes)
        if (passes == 10'000) {
            ADD_FAILURE() << "the device never comes to rest";
            return;
        }
}

}  // namespace exo::test
