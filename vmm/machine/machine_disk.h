#pragma once

#include <memory>
#include <string>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/guest_memory.h"
#include "vmm/machine/attached_device.h"
#include "vmm/machine/machine_report.h"
#include "vmm/storage/disk.h"

namespace exo::vmm {

/// What the guest sees a disk as.
enum class DiskKind : std::uint8_t { fusion, virtio };

/// A disk that the machine is to have; the Disk outlives the machine, and is free again when it has ended.
struct DiskConfig {
    std::string name;  ///< for people: the file's
    Disk& disk;
    DiskKind kind = DiskKind::fusion;
};

/// A disk of the machine, of either kind.
class MachineDisk {
  public:
    /// @param index   of the disk in the machine
    /// @param queues  each with an interrupt vector
    static Result<std::unique_ptr<MachineDisk>> create(const AttachedDevice::Host& host,
                                                       const GuestMemory& memory, const DiskConfig& config,
                                                       unsigned index, unsigned queues);
    virtual ~MachineDisk() = default;

    AttachedDevice& attached() { return *attached_; }
    virtual DiskReport report() = 0;

  protected:
    explicit MachineDisk(std::string name) : name_(std::move(name)) {}

    std::string name_;
    std::unique_ptr<AttachedDevice> attached_;
};

}  // namespace exo::vmm
