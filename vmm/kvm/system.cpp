#include "vmm/kvm/system.h"

#include <cpuid.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <span>

#include "vmm/kvm/ioctl.h"
#include "vmm/kvm/kvm_api.h"

namespace exo::vmm {
namespace {

constexpr int supported_api_version = 12;
constexpr std::size_t max_cpuid_entries = 256;

struct Capability {
    int number;
    std::string_view name;
    std::string_view purpose;
    bool required;
};

constexpr std::array capabilities = {
    Capability{KVM_CAP_USER_MEMORY, "USER_MEMORY", "guest memory", true},
    Capability{KVM_CAP_READONLY_MEM, "READONLY_MEM", "firmware flash", true},
    Capability{KVM_CAP_SET_TSS_ADDR, "SET_TSS_ADDR", "pages that Intel processors need, off the flash", true},
    Capability{KVM_CAP_SET_IDENTITY_MAP_ADDR, "SET_IDENTITY_MAP_ADDR", "likewise", true},
    Capability{KVM_CAP_IRQCHIP, "IRQCHIP", "local APICs, IOAPIC and PIC in the kernel", true},
    Capability{KVM_CAP_PIT2, "PIT2", "8254 timer in the kernel", true},
    Capability{KVM_CAP_IRQ_ROUTING, "IRQ_ROUTING", "MSI routes", true},
    Capability{KVM_CAP_IRQFD, "IRQFD", "device interrupts without an exit", true},
    Capability{KVM_CAP_IOEVENTFD, "IOEVENTFD", "doorbells without an exit to user space", true},
    Capability{KVM_CAP_EXT_CPUID, "EXT_CPUID", "processor identification", true},
    Capability{KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT", "stopping a vCPU without a race", true},
    Capability{KVM_CAP_TSC_DEADLINE_TIMER, "TSC_DEADLINE_TIMER", "the guest's timer", false},
    Capability{KVM_CAP_GET_TSC_KHZ, "GET_TSC_KHZ", "telling the guest its TSC frequency", false},
    Capability{KVM_CAP_BINARY_STATS_FD, "BINARY_STATS_FD", "exit counts in --metrics", false},
};

std::string open_action(int number) {
    switch (number) {
        case ENOENT:
        case ENODEV:
        case ENXIO:
            return "Load the module (modprobe kvm_amd or kvm_intel) where the processor can virtualize; "
                   "where "
                   "it cannot, `tools/run` runs the same command in a box that brings its own KVM.";
        case EACCES:
        case EPERM:
            return "Join the group that owns it (usually: sudo usermod -aG kvm $USER, then log in again), or "
                   "use `tools/run`.";
        default:
            return {};
    }
}

/// KVM's list leaves them out, but keeps them for the guest: Linux takes memory that none of them calls
/// write-back for unusable.
constexpr std::array<std::uint32_t, 28> memory_type_ranges = {
    0x2ff,                                                   // default type
    0x250, 0x258, 0x259,                                     // fixed: 64 and 16 KiB
    0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,  // fixed: 4 KiB
    0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207,  // base and mask
    0x208, 0x209, 0x20a, 0x20b, 0x20c, 0x20d, 0x20e, 0x20f,
};

}  // namespace

bool host_has_hardware_virtualization() {
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    constexpr unsigned vmx = 1u << 5;
    constexpr unsigned svm = 1u << 2;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & vmx) != 0) return true;
    return __get_cpuid(0x8000'0001, &eax, &ebx, &ecx, &edx) != 0 && (ecx & svm) != 0;
}

Result<KvmSystem> KvmSystem::open(const char* path) {
    FileDescriptor device(::open(path, O_RDWR | O_CLOEXEC));
    if (!device) return fail_errno(fmt::format("cannot open {}", path), errno, open_action(errno));
    const int version = ::ioctl(device.get(), KVM_GET_API_VERSION, 0);
    if (version != supported_api_version) {
        return fail(fmt::format("{} cannot be used", path),
                    version < 0
                        ? "it does not answer as KVM does"
                        : fmt::format("its API version is {}, not {}", version, supported_api_version),
                    "Use a Linux kernel of version 5.15 or later, or `tools/run`.");
    }
    if (!host_has_hardware_virtualization()) {
        return fail(fmt::format("{} cannot run this guest", path),
                    "the processor shows neither VMX nor SVM, so this KVM is a paravirtual one (such as "
                    "kvm_pvm), which cannot run unmodified firmware",
                    "Use `tools/run`, which runs the same command in a box with a KVM that can.");
    }
    return KvmSystem(std::move(device));
}

int KvmSystem::capability(int number) const {
    return std::max(0, ::ioctl(fd(), KVM_CHECK_EXTENSION, number));
}

std::vector<KvmExtension> KvmSystem::extensions() const {
    std::vector<KvmExtension> all;
    all.reserve(std::size(capabilities));
    for (const Capability& entry : capabilities)
        all.push_back({entry.name, entry.purpose, entry.required, capability(entry.number)});
    return all;
}

Result<void> KvmSystem::check_required() const {
    std::string missing;
    for (const KvmExtension& extension : extensions())
        if (extension.required && extension.value == 0)
            missing +=
                fmt::format("{}{} ({})", missing.empty() ? "" : ", ", extension.name, extension.purpose);
    if (missing.empty()) return {};
    return fail("this host's KVM lacks what vmm needs", missing,
                "Use a Linux kernel of version 5.15 or later, or `tools/run`.");
}

unsigned KvmSystem::max_vcpus() const {
    const int most = capability(KVM_CAP_MAX_VCPUS);
    return static_cast<unsigned>(most > 0 ? most : std::max(4, capability(KVM_CAP_NR_VCPUS)));
}

bool KvmSystem::has_tsc_deadline_timer() const {
    return capability(KVM_CAP_TSC_DEADLINE_TIMER) != 0;
}

Result<std::size_t> KvmSystem::vcpu_area_size() const {
    const auto size = kvm_ioctl(fd(), KVM_GET_VCPU_MMAP_SIZE, 0, "KVM_GET_VCPU_MMAP_SIZE");
    if (!size) return std::unexpected(size.error());
    if (static_cast<std::size_t>(*size) < sizeof(kvm_run))
        return fail("KVM's vCPU area cannot be used", fmt::format("it has only {} bytes", *size));
    return static_cast<std::size_t>(*size);
}

Result<CpuidTable> KvmSystem::supported_cpuid() const {
    std::vector<std::byte> buffer(sizeof(kvm_cpuid2) + max_cpuid_entries * sizeof(kvm_cpuid_entry2));
    auto* header = reinterpret_cast<kvm_cpuid2*>(buffer.data());
    header->nent = max_cpuid_entries;
    if (auto done = kvm_ioctl(fd(), KVM_GET_SUPPORTED_CPUID, header, "KVM_GET_SUPPORTED_CPUID"); !done)
        return std::unexpected(done.error());
    CpuidTable table;
    for (const kvm_cpuid_entry2& entry : std::span(header->entries, header->nent)) {
        table.push_back({.function = entry.function,
                         .index = entry.index,
                         .indexed = (entry.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0,
                         .eax = entry.eax,
                         .ebx = entry.ebx,
                         .ecx = entry.ecx,
                         .edx = entry.edx});
    }
    return table;
}

Result<std::vector<std::uint32_t>> KvmSystem::msr_indices() const {
    kvm_msr_list size{};
    // Too small by intent: KVM says how many there are.
    static_cast<void>(::ioctl(fd(), KVM_GET_MSR_INDEX_LIST, &size));
    std::vector<std::uint32_t> buffer(1 + size.nmsrs);
    buffer.front() = size.nmsrs;
    if (auto done = kvm_ioctl(fd(), KVM_GET_MSR_INDEX_LIST, buffer.data(), "KVM_GET_MSR_INDEX_LIST"); !done)
        return std::unexpected(done.error());
    buffer.erase(buffer.begin());
    for (const std::uint32_t index : memory_type_ranges)
        if (std::ranges::find(buffer, index) == buffer.end()) buffer.push_back(index);
    return buffer;
}

}  // namespace exo::vmm
