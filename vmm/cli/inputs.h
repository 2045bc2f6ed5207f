#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "firmware/flash_image.h"
#include "firmware/variable_store.h"
#include "vmm/base/error.h"
#include "vmm/cli/boot_file.h"
#include "vmm/cli/options.h"
#include "vmm/machine/direct/direct_kernel.h"
#include "vmm/machine/snapshot_file.h"
#include "vmm/storage/disk.h"

namespace exo::vmm {

/// Everything that `vmm run` reads from files, opened and checked, before KVM is touched.
struct RunInputs {
    BootFile kernel;
    BootFile initrd;
    std::optional<firmware::FlashImage> firmware;        ///< nothing when the kernel starts directly
    std::unique_ptr<firmware::VariableStore> variables;  ///< null when nothing keeps them
    std::optional<DirectKernel> direct_kernel;           ///< has views of `kernel`; of the machine to come
    std::vector<std::unique_ptr<Disk>> disks;            ///< in the order of the options
    std::optional<SnapshotFile> restore;                 ///< what the first machine goes on from
};

/// Understands the kernel that starts directly, for the next machine; reads it and the initial RAM disk again
/// if they were released.
Result<void> load_direct_kernel(const RunOptions& options, RunInputs& inputs);
/// The guest has its own copies.
void release_direct_kernel(RunInputs& inputs);

/// `log` outlives the inputs.
Result<RunInputs> load_inputs(const RunOptions& options, const Log& log);

}  // namespace exo::vmm
