#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "vmm/base/error.h"
#include "vmm/base/guest_memory.h"
#include "vmm/machine/attached_device.h"
#include "vmm/machine/machine_report.h"
#include "vmm/storage/disk.h"
#include "vmm/storage/limited_disk.h"

namespace exo::vmm {

/// What the guest sees a disk as.
enum class DiskKind : std::uint8_t { fusion, virtio };

/// A disk that the machine is to have; the Disk outlives the machine, and is free again when it has ended.
struct DiskConfig {
    std::string name;  ///< for people: the file's
    Disk& disk;
    DiskKind kind = DiskKind::fusion;
    unsigned queues = 0;                                    ///< 0: one a vCPU, up to most_disk_queues
    std::optional<std::chrono::nanoseconds> poll_cap = {};  ///< as for DeviceThread
    DiskRates rates = {};
};

/// Queues a disk has at most. One I/O thread serves all of them (vmm/README.md): more would cost it looks and
/// the guest memory, and save no lock that is ever waited for.
inline constexpr unsigned most_disk_queues = 16;

constexpr unsigned disk_queues(const DiskConfig& disk, unsigned cpus) {
    return std::min(disk.queues == 0 ? cpus : disk.queues, most_disk_queues);
}

/// A disk of the machine, of either kind.
class MachineDisk {
  public:
    /// @param index   of the disk in the machine
    /// @param cpus    vCPUs of the machine
    static Result<std::unique_ptr<MachineDisk>> create(const AttachedDevice::Host& host,
                                                       const GuestMemory& memory, const DiskConfig& config,
                                                       unsigned index, unsigned cpus);
    virtual ~MachineDisk() = default;

    AttachedDevice& attached() { return *attached_; }
    virtual DiskReport report() = 0;

  protected:
    MachineDisk(const AttachedDevice::Host& host, const DiskConfig& config);

    /// The disk as the device is to have it.
    Disk& disk() { return limited_ ? *limited_ : disk_; }
    Result<void> attach_to(const AttachedDevice::Host& host, QueueDevice& device, const PciDeviceSpec& spec,
                           const DoorbellPlacement& doorbells);
    /// What both kinds tell.
    DiskReport common_report(const DiskCounters& counters) const;

    std::string name_;
    Disk& disk_;
    std::optional<LimitedDisk> limited_;
    std::optional<std::chrono::nanoseconds> poll_cap_;
    std::unique_ptr<AttachedDevice> attached_;
};

}  // namespace exo::vmm
