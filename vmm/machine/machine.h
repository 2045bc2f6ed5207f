#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/event_fd.h"
#include "vmm/base/thread_kind.h"
#include "vmm/devices/pollers.h"
#include "vmm/kvm/msi_routes.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/attached_device.h"
#include "vmm/machine/direct/direct_kernel.h"
#include "vmm/machine/entropy_device.h"
#include "vmm/machine/guest_ram.h"
#include "vmm/machine/io_trace.h"
#include "vmm/machine/kvm_flash_mapping.h"
#include "vmm/machine/kvm_pin.h"
#include "vmm/machine/machine_config.h"
#include "vmm/machine/machine_disk.h"
#include "vmm/machine/machine_events.h"
#include "vmm/machine/machine_report.h"
#include "vmm/machine/platform.h"
#include "vmm/machine/snapshot_file.h"

namespace exo::vmm {

/// What the machine needs from outside; all of it outlives the machine.
struct MachinePorts {
    const Clock& clock;
    SerialOutput& console;
    std::function<void(std::span<const std::byte>)> firmware_log;
    /// Told on the vCPU's thread when the guest passes a point of its boot; may be empty.
    std::function<void(platform::BootPhase)> boot_phase;
    /// Called first of all on each thread that serves the guest; may be empty. The machine dies of an error.
    std::function<Result<void>(ThreadKind)> thread_begins = {};
};

struct MachineEnd {
    enum class Kind : std::uint8_t {
        exited,  ///< by the exit port or ACPI, with `status`
        reset,   ///< the guest asked for a fresh start
        died,    ///< `explanation` says of what
        stopped  ///< by stop()
    };
    Kind kind = Kind::stopped;
    std::uint16_t status = 0;
    std::string explanation = {};
};

/// One machine from power-on to its end: memory, firmware, vCPUs on a thread each, and the platform. It runs
/// once; a reset of the guest is a new Machine of the same configuration.
class Machine final : private MachineEvents {
  public:
    static Result<std::unique_ptr<Machine>> create(const KvmSystem& system, const MachineConfig& config,
                                                   const MachinePorts& outside);
    ~Machine() override;

    /// Lets the vCPUs run.
    Result<void> start();
    /// Ends the machine, from any thread, at any time. The first end that happens is the one that counts.
    void stop() { end({.kind = MachineEnd::Kind::stopped}); }

    /// Lets no vCPU run on in the guest; from any thread, a vCPU's own among them. pause() waits for it.
    void request_pause();
    /// Stands still, with all disk requests done and flushed. False when the machine has ended instead.
    Result<bool> pause();
    /// While it stands still: writes all of it to a file.
    Result<void> save(const std::filesystem::path& path) { return save_as(path, guest_facts_); }
    /// Likewise, to be found by other facts.
    Result<void> save_as(const std::filesystem::path& path, const std::vector<SnapshotFact>& facts);
    /// Goes on after pause().
    void resume();

    /// Readable once the machine has ended; then wait() returns soon.
    int ended_fd() const { return ended_.get(); }
    /// Waits for the end, and for all threads of the machine.
    MachineEnd wait();
    /// After wait().
    MachineReport report() const;
    /// After wait(): whether all of the trace reached its file.
    Result<void> finish_trace() { return trace_ ? trace_->finish() : Result<void>{}; }

    Serial& serial() { return platform_->serial(); }
    std::span<const std::byte> guest_memory() const { return ram_.host(); }

  private:
    struct VcpuSlot {
        explicit VcpuSlot(Vcpu v) : vcpu(std::move(v)) {}
        Vcpu vcpu;
        ExitCounts exits;  ///< the thread's own while it runs
        std::thread thread;
    };

    Machine(GuestRam ram, Vm vm, EventFd ended, const MachineConfig& config, const MachinePorts& outside);
    Result<void> map_memory(const MachineConfig& config);
    Result<void> create_platform(const MachineConfig& config, const CpuidTable& cpuid);
    Result<void> create_devices(const MachineConfig& config);
    void add_device(std::uint8_t slot, AttachedDevice& device);
    std::uint64_t guest_tsc() const;
    Result<void> create_vcpus(const KvmSystem& system, const CpuidTable& cpuid);
    Result<void> restore(const SnapshotFile& snapshot, SnapshotKind kind);
    void exchange_state(StateArchive& archive);
    void exchange_frequency(StateArchive& archive, bool matters);
    Result<void> start_directly(const MachineConfig& config, const CpuidTable& cpuid);

    Result<void> start_devices();
    Result<void> start_threads(const std::shared_ptr<std::latch>& gate);
    void run_vcpu(unsigned id, const std::latch& gate);
    void park(Vcpu& vcpu);
    void end(MachineEnd end);
    void die(std::string explanation);
    void begin_thread(ThreadKind kind);
    void kick_vcpus();

    void reset_requested() override { end({.kind = MachineEnd::Kind::reset}); }
    void power_off_requested() override { end({.kind = MachineEnd::Kind::exited}); }
    void exit_requested(std::uint16_t status) override {
        end({.kind = MachineEnd::Kind::exited, .status = status});
    }
    void boot_phase(platform::BootPhase phase) override;

    unsigned cpus_;
    std::vector<SnapshotFact> guest_facts_;
    std::vector<std::uint32_t> msr_indices_;
    std::vector<Disk*> storage_;
    const MachinePorts outside_;
    EventFd ended_;
    GuestRam ram_;
    GuestMemory memory_;
    Vm vm_;
    MsiRoutes routes_;
    KvmPin serial_pin_;
    KvmPin sci_;
    Pollers pollers_;  ///< outlives the devices
    std::optional<std::uint64_t> tsc_offset_;
    std::optional<KvmFlashMapping> flash_mapping_;
    std::unique_ptr<IoTrace> trace_;
    std::vector<std::unique_ptr<MachineDisk>> disks_;  ///< outlive the PCI bus that leads to them
    std::unique_ptr<EntropyDevice> entropy_;           ///< likewise
    std::vector<AttachedDevice*> devices_;             ///< of all of these
    std::unique_ptr<Platform> platform_;
    std::vector<std::unique_ptr<VcpuSlot>> vcpus_;

    std::atomic<bool> ending_ = false;
    mutable std::mutex mutex_;  ///< covers the rest
    std::optional<MachineEnd> end_;
    bool threads_run_ = false;
    bool pausing_ = false;
    unsigned parked_ = 0;              ///< vCPUs that stand still
    std::condition_variable changed_;  ///< parked_, pausing_ or end_
    BootTimeline timeline_;
};

}  // namespace exo::vmm
