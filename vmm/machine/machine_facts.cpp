#include "vmm/machine/machine_facts.h"

#include "vmm/base/digest.h"

namespace exo::vmm {
namespace {

std::string digest_of(std::span<const std::byte> bytes) {
    Digest digest;
    digest.add(bytes);
    return digest.hex();
}

/// What the guest sees of the processor, but for the frequency, which each start of a host measures anew.
std::string processor(const CpuidTable& supported, bool tsc_deadline) {
    const CpuidTable seen =
        cpuid_for_vcpu(supported, 0, {.cpus = 1, .tsc_deadline = tsc_deadline, .brand = host_cpu_brand()});
    Digest digest;
    for (const CpuidEntry& leaf : seen)
        for (const std::uint32_t word : {leaf.function, leaf.index, leaf.eax, leaf.ebx, leaf.ecx, leaf.edx})
            digest.add(std::uint64_t{word});
    return digest.hex();
}

std::string disk(const DiskConfig& config, bool exactly) {
    std::string text = config.kind == DiskKind::virtio ? "virtio" : "fusion";
    const DiskGeometry& geometry = config.disk.geometry();
    if (exactly) text += fmt::format(" of {} bytes{}", geometry.size, geometry.read_only ? " read-only" : "");
    return text;
}

}  // namespace

std::vector<SnapshotFact> machine_facts(const MachineConfig& config, const CpuidTable& cpuid,
                                        bool tsc_deadline, SnapshotKind kind) {
    const bool guest = kind == SnapshotKind::guest;
    std::string devices;
    for (const DiskConfig& each : config.disks) devices += disk(each, guest) + ", ";
    devices += config.entropy ? "entropy" : "no entropy";
    std::vector<SnapshotFact> facts = {
        {"kind", guest ? "guest" : "firmware"},
        {"vmm", config.version},
        {"processor", processor(cpuid, tsc_deadline)},
        {"number of CPUs", fmt::format("{}", config.cpus)},
        {"memory", fmt::format("{} MiB", config.ram.total() / layout::mib)},
        {"list of devices", devices},
        {"firmware", config.flash_code.empty() ? "none" : digest_of(config.flash_code)},
        {"variable store", config.variables != nullptr ? "kept" : "not kept"},
    };
    if (!guest) facts.push_back({"variables", digest_of(config.flash_variables)});
    return facts;
}

}  // namespace exo::vmm
