#include "vmm/machine/machine_disk.h"

#include "vmm/devices/fusion_blk.h"
#include "vmm/devices/virtio_blk.h"
#include "vmm/devices/virtio_pci.h"
#include "vmm/machine/virtio_function.h"

namespace exo::vmm {
namespace {

/// A device goes after what is attached to it: that runs its thread.
class FusionDisk final : public MachineDisk {
  public:
    FusionDisk(std::string name, std::unique_ptr<FusionBlk> device)
        : MachineDisk(std::move(name)), device_(std::move(device)) {}
    ~FusionDisk() override { attached_.reset(); }

    Result<void> attach(const AttachedDevice::Host& host, const std::string& label) {
        auto made =
            AttachedDevice::create(host, *device_, fusion_blk_spec(label, *device_, device_->queue_count()),
                                   {.bar = 0, .offset = block::bar::doorbells, .size = 4});
        if (!made) return std::unexpected(made.error());
        attached_ = std::move(*made);
        return {};
    }
    DiskReport report() override {
        return {.name = name_, .counters = device_->counters(), .interrupts = attached_->interrupts()};
    }

  private:
    std::unique_ptr<FusionBlk> device_;
};

class VirtioDisk final : public MachineDisk {
  public:
    VirtioDisk(const DiskConfig& config, const VirtioBlk::Options& options)
        : MachineDisk(config.name), device_(config.disk, options) {}
    ~VirtioDisk() override { attached_.reset(); }

    Result<void> attach(const AttachedDevice::Host& host, const GuestMemory& memory,
                        const std::string& label) {
        auto transport = VirtioPci::create(memory, device_);
        if (!transport) return std::unexpected(transport.error());
        transport_ = std::move(*transport);
        auto made = AttachedDevice::create(host, *transport_, virtio_spec(label, device_, *transport_),
                                           virtio_doorbells);
        if (!made) return std::unexpected(made.error());
        attached_ = std::move(*made);
        return {};
    }
    DiskReport report() override {
        DiskReport report{.name = name_,
                          .counters = transport_->while_still([this] { return device_.counters(); }),
                          .interrupts = attached_->interrupts(),
                          .fault = transport_->fault()};
        const VirtioPci::Counters counters = transport_->counters();
        report.counters.doorbells = counters.doorbells;
        report.counters.interrupts = counters.interrupts;
        report.counters.resets = counters.resets;
        report.counters.bad_descriptors += counters.faults;
        return report;
    }

  private:
    VirtioBlk device_;
    std::unique_ptr<VirtioPci> transport_;
};

}  // namespace

Result<std::unique_ptr<MachineDisk>> MachineDisk::create(const AttachedDevice::Host& host,
                                                         const GuestMemory& memory, const DiskConfig& config,
                                                         unsigned index, unsigned queues) {
    const std::string label = fmt::format("disk {}", index);
    if (config.kind == DiskKind::virtio) {
        auto disk = std::make_unique<VirtioDisk>(
            config, VirtioBlk::Options{.serial = fmt::format("disk-{}", index), .queue_count = queues});
        if (auto done = disk->attach(host, memory, label); !done) return std::unexpected(done.error());
        return disk;
    }
    auto device = FusionBlk::create(memory, config.disk, host.clock,
                                    {.serial = fmt::format("fusion-{}", index), .queue_count = queues});
    if (!device) return std::unexpected(device.error());
    auto disk = std::make_unique<FusionDisk>(config.name, std::move(*device));
    if (auto done = disk->attach(host, label); !done) return std::unexpected(done.error());
    return disk;
}

}  // namespace exo::vmm
