#include "vmm/machine/machine_disk.h"

#include "vmm/devices/fusion_blk.h"
#include "vmm/devices/virtio_blk.h"
#include "vmm/devices/virtio_pci.h"
#include "vmm/machine/virtio_function.h"

namespace exo::vmm {
namespace {

/// What a disk is made with.
struct Place {
    const AttachedDevice::Host& host;
    const GuestMemory& memory;
    const DiskConfig& config;
    unsigned index;
    unsigned queues;

    std::string label() const { return fmt::format("disk {}", index); }
};

/// A device goes after what is attached to it: that runs its thread.
class FusionDisk final : public MachineDisk {
  public:
    explicit FusionDisk(const Place& place) : MachineDisk(place.host, place.config) {}
    ~FusionDisk() override { attached_.reset(); }

    Result<void> attach(const Place& place) {
        auto device = FusionBlk::create(place.memory, disk(), place.host.clock,
                                        {.serial = fmt::format("fusion-{}", place.index),
                                         .queue_count = place.queues,
                                         .tsc = place.host.guest_tsc});
        if (!device) return std::unexpected(device.error());
        device_ = std::move(*device);
        return attach_to(place.host, *device_, fusion_blk_spec(place.label(), *device_, place.queues),
                         {.bar = 0, .offset = block::bar::doorbells, .size = 4});
    }
    DiskReport report() override { return common_report(device_->counters()); }

  private:
    std::unique_ptr<FusionBlk> device_;
};

class VirtioDisk final : public MachineDisk {
  public:
    explicit VirtioDisk(const Place& place)
        : MachineDisk(place.host, place.config),
          device_(disk(), {.serial = fmt::format("disk-{}", place.index), .queue_count = place.queues}) {}
    ~VirtioDisk() override { attached_.reset(); }

    Result<void> attach(const Place& place) {
        auto transport = VirtioPci::create(place.memory, device_);
        if (!transport) return std::unexpected(transport.error());
        transport_ = std::move(*transport);
        return attach_to(place.host, *transport_, virtio_spec(place.label(), device_, *transport_),
                         virtio_doorbells);
    }
    DiskReport report() override {
        DiskReport report = common_report(transport_->while_still([this] { return device_.counters(); }));
        report.fault = transport_->fault();
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

template <typename Kind>
Result<std::unique_ptr<MachineDisk>> make(const Place& place) {
    auto disk = std::make_unique<Kind>(place);
    if (auto done = disk->attach(place); !done) return std::unexpected(done.error());
    return disk;
}

}  // namespace

MachineDisk::MachineDisk(const AttachedDevice::Host& host, const DiskConfig& config)
    : name_(config.name), disk_(config.disk), poll_cap_(config.poll_cap) {
    if (config.rates.limited()) limited_.emplace(config.disk, host.clock, config.rates);
}

Result<void> MachineDisk::attach_to(const AttachedDevice::Host& host, QueueDevice& device,
                                    const PciDeviceSpec& spec, const DoorbellPlacement& doorbells) {
    auto made = AttachedDevice::create(host, device, spec, doorbells, poll_cap_);
    if (!made) return std::unexpected(made.error());
    attached_ = std::move(*made);
    return {};
}

DiskReport MachineDisk::common_report(const DiskCounters& counters) const {
    return {.name = name_,
            .counters = counters,
            .polls = attached_->polls(),
            .delayed = limited_ ? limited_->delayed() : 0,
            .interrupts = attached_->interrupts()};
}

Result<std::unique_ptr<MachineDisk>> MachineDisk::create(const AttachedDevice::Host& host,
                                                         const GuestMemory& memory, const DiskConfig& config,
                                                         unsigned index, unsigned cpus) {
    const Place place{host, memory, config, index, disk_queues(config, cpus)};
    return config.kind == DiskKind::virtio ? make<VirtioDisk>(place) : make<FusionDisk>(place);
}

}  // namespace exo::vmm
