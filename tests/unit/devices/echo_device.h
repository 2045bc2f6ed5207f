#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "vmm/devices/virtio_device.h"

namespace exo::test {

/// A virtio device of two queues that gives every chain back.
class EchoDevice final : public vmm::VirtioDevice {
  public:
    std::uint16_t type() const override { return 42; }
    std::uint64_t features() const override { return 1u << 3; }
    std::span<const std::byte> configuration() const override { return configuration_; }
    std::uint32_t queue_count() const override { return 2; }
    void start(std::uint64_t features) override { started_with = features; }
    bool work(std::span<std::optional<vmm::Virtqueue>> queues, vmm::Pass) override {
        for (auto& queue : queues) {
            if (!queue) continue;
            vmm::DescriptorChain chain;
            while (queue->pop(chain)) queue->push(chain.head, 7);
            queue->ask_for_doorbell();
        }
        return false;
    }
    void stop() override { ++stops; }
    bool quiescent() const override { return !busy; }

    std::array<std::byte, 12> configuration_{std::byte{1}, std::byte{2}, std::byte{3}};
    std::uint64_t started_with = 0;
    int stops = 0;
    bool busy = false;
};

}  // namespace exo::test
