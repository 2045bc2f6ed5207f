#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/base/file_descriptor.h"
#include "vmm/kvm/cpuid.h"

namespace exo::vmm {

/// One capability of the KVM API, as this host answers for it.
struct KvmExtension {
    std::string_view name;     ///< as in the kernel's documentation, without KVM_CAP_
    std::string_view purpose;  ///< what `vmm` does with it
    bool required;
    int value;  ///< 0: absent
};

/// The host's KVM: /dev/kvm, with the API version checked. Linux, Documentation/virt/kvm/api.rst.
class KvmSystem {
  public:
    /// Opens the device. Errors tell the ways out: a box with KVM when there is none, the group when it may
    /// not be opened, and a hardware-backed KVM where the kernel offers only a paravirtual one.
    static Result<KvmSystem> open(const char* path = "/dev/kvm");

    /// All capabilities that `vmm` asks for.
    std::vector<KvmExtension> extensions() const;
    /// An error that names every required capability that is absent.
    Result<void> check_required() const;

    unsigned max_vcpus() const;
    bool has_tsc_deadline_timer() const;
    /// Bytes of the area that a vCPU shares with the kernel.
    Result<std::size_t> vcpu_area_size() const;
    Result<CpuidTable> supported_cpuid() const;
    /// The model-specific registers that are part of a vCPU's state.
    Result<std::vector<std::uint32_t>> msr_indices() const;

    int fd() const { return device_.get(); }

  private:
    explicit KvmSystem(FileDescriptor device) : device_(std::move(device)) {}
    int capability(int number) const;

    FileDescriptor device_;
};

/// Whether this processor shows VMX or SVM. Without either, /dev/kvm can only be a paravirtual KVM, which
/// runs guests made for it and no others.
bool host_has_hardware_virtualization();

}  // namespace exo::vmm
