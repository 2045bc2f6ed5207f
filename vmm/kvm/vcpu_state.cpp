#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include "vmm/kvm/ioctl.h"
#include "vmm/kvm/kvm_api.h"
#include "vmm/kvm/state_exchange.h"
#include "vmm/kvm/vcpu.h"

namespace exo::vmm {
namespace {

constexpr std::size_t max_msrs = 4096;
constexpr std::uint32_t msr_tsc = 0x10;
constexpr std::uint32_t msr_tsc_deadline = 0x6e0;

constexpr std::size_t lapic_timer_lvt = 0x320;
constexpr std::uint32_t lvt_masked = 1u << 16;
constexpr std::uint32_t lvt_mode = 3u << 17;
constexpr std::uint32_t lvt_deadline = 2u << 17;

struct Msr {
    std::uint32_t index = 0;
    std::uint32_t reserved = 0;
    std::uint64_t value = 0;
};

/// How many of them KVM took; it stops at the first that it refuses.
Result<std::size_t> msr_call(int vcpu, unsigned long request, const char* name, std::span<Msr> msrs) {
    static_assert(sizeof(Msr) == sizeof(kvm_msr_entry));
    std::vector<std::byte> buffer(sizeof(kvm_msrs) + msrs.size_bytes());
    auto* header = reinterpret_cast<kvm_msrs*>(buffer.data());
    header->nmsrs = static_cast<std::uint32_t>(msrs.size());
    std::ranges::copy(std::as_bytes(msrs), buffer.begin() + sizeof(kvm_msrs));
    const auto done = kvm_ioctl(vcpu, request, header, name);
    if (!done) return std::unexpected(done.error());
    std::memcpy(msrs.data(), buffer.data() + sizeof(kvm_msrs), msrs.size_bytes());
    return static_cast<std::size_t>(*done);
}

/// KVM lists registers that this processor or this guest does not have: those are left out.
Result<std::vector<Msr>> read_msrs(int vcpu, std::span<const std::uint32_t> indices) {
    std::vector<Msr> asked;
    for (const std::uint32_t index : indices) asked.push_back({.index = index});
    std::vector<Msr> known;
    for (std::span<Msr> rest = asked; !rest.empty();) {
        const auto count = msr_call(vcpu, KVM_GET_MSRS, "KVM_GET_MSRS", rest);
        if (!count) return std::unexpected(count.error());
        known.insert(known.end(), rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(*count));
        rest = rest.subspan(std::min(*count + 1, rest.size()));
    }
    return known;
}

/// A register that cannot be written but has the value already is as good.
Result<void> write_msrs(int vcpu, std::span<Msr> msrs) {
    while (!msrs.empty()) {
        const auto count = msr_call(vcpu, KVM_SET_MSRS, "KVM_SET_MSRS", msrs);
        if (!count) return std::unexpected(count.error());
        if (*count >= msrs.size()) return {};
        const Msr& refused = msrs[*count];
        Msr now{.index = refused.index};
        const auto read = msr_call(vcpu, KVM_GET_MSRS, "KVM_GET_MSRS", {&now, 1});
        if (!read || *read != 1 || now.value != refused.value)
            return fail("cannot restore a vCPU",
                        fmt::format("this host refuses {:#x} in the model-specific register {:#x}",
                                    refused.value, refused.index));
        msrs = msrs.subspan(*count + 1);
    }
    return {};
}

/// A deadline that has passed reads as zero, even while its interrupt still waits to be delivered, and that
/// is not part of any state. So the timer is set to fire at once: one interrupt too many does no harm.
void keep_timer_interrupt(const kvm_lapic_state& lapic, std::vector<Msr>& msrs) {
    std::uint32_t lvt = 0;
    std::memcpy(&lvt, lapic.regs + lapic_timer_lvt, sizeof(lvt));
    const auto deadline = std::ranges::find(msrs, msr_tsc_deadline, &Msr::index);
    const auto tsc = std::ranges::find(msrs, msr_tsc, &Msr::index);
    if ((lvt & lvt_mode) != lvt_deadline || (lvt & lvt_masked) != 0) return;
    if (deadline != msrs.end() && tsc != msrs.end() && deadline->value == 0) deadline->value = tsc->value;
}

/// The deadline counts on the TSC, so it comes after it.
void order_msrs(std::vector<Msr>& msrs) {
    const auto deadline = std::ranges::find(msrs, msr_tsc_deadline, &Msr::index);
    if (deadline != msrs.end()) std::ranges::rotate(deadline, deadline + 1, msrs.end());
}

}  // namespace

/// The order is the one that KVM's own documentation and its users have found to work, the same both ways:
/// reading the MP state may deliver INIT or SIPI, so it comes first; SET_REGS drops pending exceptions, which
/// SET_VCPU_EVENTS brings back; the TSC deadline needs the local APIC's mode.
void Vcpu::exchange_state(StateArchive& archive, std::span<const std::uint32_t> msr_indices) {
    const int fd = vcpu_.get();
    exchange<kvm_mp_state>(archive, fd, KVM_GET_MP_STATE, KVM_SET_MP_STATE, "the vCPU's MP state");
    exchange<kvm_regs>(archive, fd, KVM_GET_REGS, KVM_SET_REGS, "the vCPU's registers");
    exchange<kvm_sregs>(archive, fd, KVM_GET_SREGS, KVM_SET_SREGS, "the vCPU's system registers");
    exchange<kvm_xcrs>(archive, fd, KVM_GET_XCRS, KVM_SET_XCRS, "the vCPU's extended control registers");
    exchange<kvm_xsave>(archive, fd, KVM_GET_XSAVE, KVM_SET_XSAVE, "the vCPU's vector registers");
    exchange<kvm_debugregs>(archive, fd, KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, "the vCPU's debug registers");
    const auto lapic =
        exchange<kvm_lapic_state>(archive, fd, KVM_GET_LAPIC, KVM_SET_LAPIC, "the vCPU's local APIC");
    std::vector<Msr> msrs;
    if (!archive.loading()) {
        auto read = read_msrs(fd, msr_indices);
        if (!read) return archive.refuse(read.error());
        msrs = std::move(*read);
        order_msrs(msrs);
        keep_timer_interrupt(lapic, msrs);
    }
    archive.sequence(msrs, max_msrs);
    if (archive.loading() && !archive.failed()) archive.check(write_msrs(fd, msrs));
    exchange<kvm_vcpu_events>(archive, fd, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS,
                              "the vCPU's pending events");
}

void Vcpu::take_back_exit_request() {
    std::atomic_ref<__u8>(area_->immediate_exit).store(0, std::memory_order_seq_cst);
}

}  // namespace exo::vmm
