#pragma once

#include <optional>
#include <vector>

#include "vmm/cli/firmware_cache.h"
#include "vmm/cli/inputs.h"
#include "vmm/cli/log.h"
#include "vmm/cli/options.h"
#include "vmm/kvm/system.h"
#include "vmm/machine/machine.h"

namespace exo::vmm {

/// Spares a run the firmware's work where another machine of the same shape has done it already; else has it
/// kept for the next one. A chain loader stands in for the kernel until the firmware is done, so nothing of
/// the kernel, its command line or its initial RAM disk is in what is kept; neither is anything of the disks,
/// which the firmware then sees for the first time. Whatever hinders it, the boot is an ordinary one.
class WarmFirmware {
  public:
    /// All of them outlive this.
    WarmFirmware(const RunOptions& options, const RunInputs& inputs, const KvmSystem& system, const Log& log);

    /// Changes the configuration of a machine that is to boot. True when its firmware is done already.
    bool prepare(MachineConfig& config);
    /// The machine could not be made so: it boots as if there were nothing.
    void take_back(MachineConfig& config, const Error& reason);
    /// Whether the machine that was prepared shall be kept when its firmware is done.
    bool wants_to_keep() const { return wants_to_keep_; }
    /// While the machine stands still.
    Result<void> keep(Machine& machine) const;

  private:
    const KvmSystem& system_;
    const Log& log_;
    std::optional<FirmwareCache> cache_;
    std::span<const std::byte> factory_variables_;
    std::vector<SnapshotFact> facts_;
    std::optional<SnapshotFile> found_;
    bool wants_to_keep_ = false;
};

}  // namespace exo::vmm
