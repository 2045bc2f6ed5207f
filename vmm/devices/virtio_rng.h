#pragma once

#include "vmm/devices/virtio_device.h"

namespace exo::vmm {

/// The virtio entropy device (5.4): fills the driver's buffers from a source of random bytes.
class VirtioRng final : public VirtioDevice {
  public:
    /// Fills all of it; from the kernel's generator unless a test says otherwise.
    using Source = void (*)(std::span<std::byte>);
    static void from_kernel(std::span<std::byte> bytes);

    explicit VirtioRng(Source source = from_kernel) : source_(source) {}

    std::uint16_t type() const override { return virtio::type_entropy; }
    std::uint64_t features() const override { return 0; }
    std::span<const std::byte> configuration() const override { return {}; }
    std::uint32_t queue_count() const override { return 1; }
    void start(std::uint64_t) override {}
    bool work(std::span<std::optional<Virtqueue>> queues, Pass pass) override;
    void stop() override {}
    bool quiescent() const override { return true; }

  private:
    Source source_;
    DescriptorChain chain_;
};

}  // namespace exo::vmm
