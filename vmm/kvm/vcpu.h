#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "vmm/base/error.h"
#include "vmm/base/file_descriptor.h"
#include "vmm/base/state_archive.h"
#include "vmm/kvm/cpu_start.h"
#include "vmm/kvm/cpuid.h"
#include "vmm/kvm/exit.h"
#include "vmm/kvm/vm.h"

struct kvm_run;

namespace exo::vmm {

/// One virtual CPU, in the state after reset: the first one starts at the reset vector, the others wait for
/// their start-up IPI in the kernel. run() belongs to one thread; request_exit() to any.
class Vcpu {
  public:
    static Result<Vcpu> create(const KvmSystem& system, const Vm& vm, std::uint32_t id);
    Vcpu(Vcpu&& other) noexcept;
    Vcpu& operator=(Vcpu&&) = delete;
    Vcpu(const Vcpu&) = delete;
    Vcpu& operator=(const Vcpu&) = delete;
    ~Vcpu();

    Result<void> set_cpuid(const CpuidTable& table);
    /// Model-specific registers that firmware expects to find set.
    Result<void> set_initial_msrs();
    /// Memory type registers as firmware leaves them, all memory cacheable, for a guest without firmware.
    Result<void> set_memory_types();
    /// Instead of the reset vector.
    Result<void> set_start(const CpuStart& start);
    /// Frequency of the guest's TSC; 0 when this host cannot tell.
    std::uint32_t tsc_khz() const;

    /// What the guest's TSC is ahead of the host's, while the guest has not moved it. Before the first run();
    /// none on kernels before 5.16.
    std::optional<std::uint64_t> tsc_offset() const;

    VcpuExit run();

    /// Makes a later run() return at once with Interrupted, whichever comes first. A vCPU that is in the
    /// guest now must also be sent a signal.
    void request_exit();
    /// By the running thread.
    void take_back_exit_request();

    /// Saves or loads all that the guest can see of this vCPU, except for the CPUID, which is set before.
    /// While no vCPU of the machine runs, and after the last run() ended with Interrupted.
    /// @param msr_indices  KvmSystem::msr_indices, for saving
    void exchange_state(StateArchive& archive, std::span<const std::uint32_t> msr_indices);

    /// Registers and the bytes at the instruction pointer, for a person. From the running thread only.
    std::string describe_state(const GuestMemory& memory) const;

    /// KVM's binary statistics of this vCPU (statistics.h).
    Result<FileDescriptor> statistics() const;

  private:
    Vcpu(FileDescriptor vcpu, kvm_run* area, std::size_t area_size)
        : vcpu_(std::move(vcpu)), area_(area), area_size_(area_size) {}
    Result<void> set_msr(std::uint32_t index, std::uint64_t value);

    FileDescriptor vcpu_;
    kvm_run* area_;
    std::size_t area_size_;
};

}  // namespace exo::vmm
