#pragma once

#include <vector>

#include "vmm/kvm/cpuid.h"
#include "vmm/machine/machine_config.h"
#include "vmm/machine/snapshot_file.h"

namespace exo::vmm {

/// What of a machine and its host must be the same when its snapshot is restored.
/// @param cpuid  what KVM supports here
std::vector<SnapshotFact> machine_facts(const MachineConfig& config, const CpuidTable& cpuid,
                                        bool tsc_deadline, SnapshotKind kind);

}  // namespace exo::vmm
