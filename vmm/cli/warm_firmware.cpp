#include "vmm/cli/warm_firmware.h"

#include <algorithm>

#include "vmm/cli/chainloader.h"
#include "vmm/machine/machine_facts.h"

namespace exo::vmm {

WarmFirmware::WarmFirmware(const RunOptions& options, const RunInputs& inputs, const KvmSystem& system,
                           const Log& log)
    : system_(system), log_(log) {
    // A trace has the firmware's own way with the kernel in it.
    const bool wanted = inputs.firmware && options.firmware_cache != "off" && options.trace_io.empty();
    if (!wanted || inputs.kernel.bytes().empty() || chainloader().empty()) return;
    factory_variables_ = inputs.firmware->variables();
    const bool chosen = options.firmware_cache != "auto";
    const auto folder =
        chosen ? std::filesystem::path(options.firmware_cache) : FirmwareCache::default_folder();
    if (folder.empty()) return;
    auto cache = FirmwareCache::open(folder);
    if (cache)
        cache_ = std::move(*cache);
    else if (chosen)
        log.warning(cache.error().message());
    else
        log.info(cache.error().message());
}

/// A store that was used before never comes again as it is, since the firmware counts its boots in it: what
/// is made with it would only fill the cache.
bool WarmFirmware::prepare(MachineConfig& config) {
    wants_to_keep_ = false;
    const auto cpuid = system_.supported_cpuid();
    if (!cache_ || !cpuid || !std::ranges::equal(config.flash_variables, factory_variables_)) return false;
    config.chainloader = chainloader();
    facts_ = machine_facts(config, *cpuid, system_.has_tsc_deadline_timer(), SnapshotKind::firmware);
    auto found = cache_->find(facts_);
    if (!found) {
        log_.info("no firmware of this machine's shape is kept", {{"reason", found.error().why}});
        wants_to_keep_ = true;
        return false;
    }
    found_ = std::move(*found);
    config.restore = &*found_;
    config.restore_kind = SnapshotKind::firmware;
    return true;
}

void WarmFirmware::take_back(MachineConfig& config, const Error& reason) {
    log_.info("what is kept of the firmware cannot be used", {{"reason", reason.why}});
    config.restore = nullptr;
    wants_to_keep_ = true;
}

Result<void> WarmFirmware::keep(Machine& machine) const {
    auto done = machine.save_as(cache_->place(facts_), facts_);
    cache_->trim();
    return done;
}

}  // namespace exo::vmm
