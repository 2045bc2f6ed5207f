#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "vmm/devices/disk_counters.h"
#include "vmm/devices/virtio_blk_request.h"
#include "vmm/devices/virtio_device.h"
#include "vmm/storage/disk.h"

namespace exo::vmm {

/// The virtio block device (5.2): reads, writes, flush, discard, write zeroes, several queues over one disk.
class VirtioBlk final : public VirtioDevice {
  public:
    struct Options {
        std::string serial = {};  ///< the first 20 characters count
        std::uint32_t queue_count = 1;
    };

    /// `disk` outlives the device.
    VirtioBlk(Disk& disk, const Options& options);

    std::uint16_t type() const override { return virtio::type_block; }
    std::uint64_t features() const override;
    std::span<const std::byte> configuration() const override;
    std::uint32_t queue_count() const override { return static_cast<std::uint32_t>(queues_.size()); }
    int completion_fd() const override { return disk_.completion_fd(); }
    void start(std::uint64_t features) override { limits_.features = features; }
    bool work(std::span<std::optional<Virtqueue>> queues, Pass pass) override;
    Deadline deadline() const override { return disk_.deadline(); }
    void abandon() override { disk_.cancel(); }
    void stop() override;
    bool quiescent() const override { return in_flight_ == 0; }

    /// Doorbells, interrupts and resets are the transport's to count.
    const DiskCounters& counters() const { return counters_; }

  private:
    struct Requests {
        std::vector<VirtioBlkRequest> entries;
        std::vector<std::uint32_t> idle;
    };

    bool has_room(const Requests& requests) const {
        return !requests.idle.empty() && in_flight_ + batch_.size() < disk_.depth();
    }
    bool pick_up(std::uint32_t index, Virtqueue& queue);
    void submit();
    bool reap(std::span<std::optional<Virtqueue>> queues);
    void finish(std::uint32_t index, std::uint32_t entry, block::Status status, Virtqueue& queue);

    Disk& disk_;
    VirtioBlkLimits limits_;
    virtio::blk::Config config_{};
    std::vector<Requests> queues_;
    std::size_t in_flight_ = 0;
    std::vector<DiskRequest> batch_;  ///< picked up in this pass, for the disk
    std::uint32_t first_queue_ = 0;   ///< that the next pass begins with, so that none starves the others
    bool found_ = false;              ///< something to do in this pass
    DescriptorChain chain_;
    DiskCounters counters_;
};

}  // namespace exo::vmm
