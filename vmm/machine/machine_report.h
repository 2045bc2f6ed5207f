#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vmm/devices/disk_counters.h"
#include "vmm/devices/poll_budget.h"
#include "vmm/kvm/exit.h"
#include "vmm/kvm/statistics.h"
#include "vmm/machine/io_bus.h"
#include "vmm/machine/msix.h"

namespace exo::vmm {

/// Exits to user space by reason, in the order of VcpuExit.
struct ExitCounts {
    std::array<std::uint64_t, std::variant_size_v<VcpuExit>> by_reason{};

    void add(const VcpuExit& exit) { ++by_reason[exit.index()]; }
    void add(const ExitCounts& other) {
        for (std::size_t i = 0; i < by_reason.size(); ++i) by_reason[i] += other.by_reason[i];
    }
    static const char* name(std::size_t reason);
};

/// Adds up by name.
void add_statistics(std::vector<KvmStatistic>& sum, const std::vector<KvmStatistic>& more);

/// When the machine passed the points of its boot, on its own clock (monotonic).
struct BootTimeline {
    using Time = std::optional<std::chrono::nanoseconds>;
    Time vcpu_start;
    Time firmware_done;      ///< it would start a kernel now; none when another run's firmware was
    Time firmware_handover;  ///< the firmware entered the loader; in a direct boot, the kernel's first
                             ///< instruction
    Time kernel_entry;
    Time ready;
    Time end;
};

struct DiskReport {
    std::string name;
    DiskCounters counters;
    PollCounters polls;
    std::uint64_t delayed = 0;  ///< requests that waited for the limit of the rate
    Msix::Counts interrupts;
    std::string fault = {};  ///< what the driver did wrong last; empty for nothing
};

/// What a machine did, once all its threads have ended.
struct MachineReport {
    ExitCounts exits;
    std::vector<KvmStatistic> kvm;  ///< of all vCPUs together; empty where KVM has no binary statistics
    std::vector<IoBus::Count> ports;
    std::vector<IoBus::Count> memory;
    std::vector<DiskReport> disks;
    BootTimeline timeline;
};

}  // namespace exo::vmm
