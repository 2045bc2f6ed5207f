#include "guest/arch/x86_64/local_apic.h"

#include <algorithm>

#include "guest/arch/arch.h"
#include "guest/arch/x86_64/address_space.h"
#include "guest/arch/x86_64/cpu.h"
#include "guest/arch/x86_64/cpu_identity.h"
#include "guest/arch/x86_64/processor.h"

namespace exo::guest::arch {
namespace {

namespace reg {
constexpr std::uint32_t id = 0x20, task_priority = 0x80, end_of_interrupt = 0xb0, spurious = 0xf0,
                        error_status = 0x280, command = 0x300, command_target = 0x310, lvt_timer = 0x320,
                        lvt_thermal = 0x330, lvt_performance = 0x340, lvt_lint0 = 0x350, lvt_lint1 = 0x360,
                        lvt_error = 0x370, timer_initial = 0x380, timer_current = 0x390, timer_divide = 0x3e0;
}
constexpr std::uint64_t base_x2apic = 1u << 10, base_enabled = 1u << 11;
constexpr std::uint32_t software_enabled = 1u << 8;
constexpr std::uint32_t masked = 1u << 16;
constexpr std::uint32_t delivery_nmi = 4u << 8;
constexpr std::uint32_t mode_init = 5u << 8, mode_start_up = 6u << 8, asserted = 1u << 14,
                        to_all_but_self = 3u << 18, delivery_pending = 1u << 12;
constexpr std::uint32_t timer_tsc_deadline = 2u << 17;
constexpr std::uint32_t divide_by_1 = 0x0b;

/// KVM's own interface (Linux, Documentation/virt/kvm/x86/msr.rst and cpuid.rst).
namespace kvm {
constexpr std::uint32_t features_leaf = 0x4000'0001, feature_end_of_interrupt = 1u << 6;
constexpr std::uint32_t msr_end_of_interrupt = 0x4b56'4d04;
constexpr std::uint64_t enabled = 1;
}  // namespace kvm

constinit bool x2apic = false;
constinit bool paravirtual_eoi = false;
constinit volatile std::byte* registers = nullptr;
constinit bool tsc_deadline = false;
constinit std::uint64_t timer_frequency = 0;

std::uint32_t read(std::uint32_t offset) {
    if (x2apic) return static_cast<std::uint32_t>(rdmsr(msr::x2apic + offset / 16));
    return *reinterpret_cast<volatile std::uint32_t*>(registers + offset);
}

void write(std::uint32_t offset, std::uint32_t value) {
    if (x2apic) {
        wrmsr(msr::x2apic + offset / 16, value);
    } else {
        *reinterpret_cast<volatile std::uint32_t*>(registers + offset) = value;
    }
}

/// Sends an interrupt command (volume 3, 10.6). What was stored before is seen by who gets it.
void command(std::uint32_t apic_id, std::uint32_t what) {
    if (x2apic) {
        // A write to these MSRs does not wait for earlier stores.
        asm volatile("mfence; lfence" : : : "memory");
        wrmsr(msr::x2apic + reg::command / 16, std::uint64_t{apic_id} << 32 | what);
        return;
    }
    const InterruptGuard guard;  // the register is two halves
    while ((read(reg::command) & delivery_pending) != 0) pause();
    write(reg::command_target, apic_id << 24);
    write(reg::command, what);
}

bool kvm_saves_ends_of_interrupt() {
    return hypervisor_name() == "KVMKVMKVM" &&
           (cpuid(kvm::features_leaf).eax & kvm::feature_end_of_interrupt) != 0;
}

/// KVM looks at the bit whenever this processor leaves the guest, so it is taken by one instruction.
bool take_end_of_interrupt_unneeded() {
    bool was_set = false;
    asm volatile("btrl $0, %0" : "+m"(this_processor().end_of_interrupt_unneeded), "=@ccc"(was_set));
    return was_set;
}

/// The 8259s are moved off the exceptions' vectors, for the spurious interrupts that even masked ones may
/// send.
void silence_legacy_controllers() {
    constexpr std::uint16_t master = 0x20, slave = 0xa0;
    constexpr std::uint8_t initialise = 0x11, mode_8086 = 0x01, all = 0xff;
    constexpr std::uint8_t first_vector = 0x20;
    out<std::uint8_t>(master, initialise);
    out<std::uint8_t>(slave, initialise);
    out<std::uint8_t>(master + 1, first_vector);
    out<std::uint8_t>(slave + 1, first_vector + 8);
    out<std::uint8_t>(master + 1, 1 << 2);  // the slave is on line 2
    out<std::uint8_t>(slave + 1, 2);
    out<std::uint8_t>(master + 1, mode_8086);
    out<std::uint8_t>(slave + 1, mode_8086);
    out<std::uint8_t>(master + 1, all);
    out<std::uint8_t>(slave + 1, all);
}

}  // namespace

Result<void> start_local_apic() {
    const CpuidResult features = cpuid(1);
    if ((features.edx & 1u << 9) == 0) return fail("local APIC", "the processor has none");
    silence_legacy_controllers();
    x2apic = (features.ecx & 1u << 21) != 0;
    tsc_deadline = (features.ecx & 1u << 24) != 0;
    paravirtual_eoi = kvm_saves_ends_of_interrupt();
    if (!x2apic) {
        constexpr std::uint64_t address_bits = 0x000f'ffff'ffff'f000;
        const auto mapped = map_device(rdmsr(msr::apic_base) & address_bits, 4096);
        if (!mapped) return std::unexpected(mapped.error());
        registers = *mapped;
    }
    enable_local_apic();
    return {};
}

void enable_local_apic() {
    const std::uint64_t base = rdmsr(msr::apic_base) | base_enabled;
    wrmsr(msr::apic_base, base);
    if (x2apic) wrmsr(msr::apic_base, base | base_x2apic);
    for (const std::uint32_t source :
         {reg::lvt_timer, reg::lvt_thermal, reg::lvt_performance, reg::lvt_lint0})
        write(source, masked);
    write(reg::lvt_lint1, delivery_nmi);
    write(reg::lvt_error, vector::apic_error);
    write(reg::task_priority, 0);
    write(reg::error_status, 0);
    write(reg::spurious, software_enabled | vector::spurious);
    if (paravirtual_eoi)
        wrmsr(kvm::msr_end_of_interrupt,
              physical_in_image(&this_processor().end_of_interrupt_unneeded) | kvm::enabled);
}

bool local_apic_saves_ends_of_interrupt() {
    return paravirtual_eoi;
}
bool local_apic_is_x2apic() {
    return x2apic;
}
std::uint32_t local_apic_id() {
    return x2apic ? read(reg::id) : read(reg::id) >> 24;
}
void end_of_interrupt() {
    if (paravirtual_eoi && take_end_of_interrupt_unneeded()) return;
    write(reg::end_of_interrupt, 0);
}

void send_interrupt(std::uint32_t apic_id, std::uint8_t vector) {
    command(apic_id, vector);
}
void send_nmi_to_others() {
    command(0, to_all_but_self | asserted | delivery_nmi);
}
void send_init(std::uint32_t apic_id) {
    command(apic_id, asserted | mode_init);
}
void send_start_up(std::uint32_t apic_id, std::uint64_t page) {
    command(apic_id, asserted | mode_start_up | static_cast<std::uint32_t>(page >> 12));
}

void run_timer_freely() {
    write(reg::timer_divide, divide_by_1);
    write(reg::lvt_timer, masked | vector::timer);
    write(reg::timer_initial, ~0u);
}

std::uint32_t timer_count() {
    return ~read(reg::timer_current);
}

void use_timer(std::uint64_t frequency) {
    timer_frequency = frequency;
    use_timer_here();
}

void use_timer_here() {
    write(reg::timer_divide, divide_by_1);
    write(reg::timer_initial, 0);
    write(reg::lvt_timer, vector::timer | (tsc_deadline ? timer_tsc_deadline : 0));
    // Orders the mode change before the first deadline (SDM 11.5.4.1).
    asm volatile("mfence" : : : "memory");
}

bool timer_is_tsc_deadline() {
    return tsc_deadline;
}

void arm_timer(std::uint64_t tsc) {
    if (tsc_deadline) {
        wrmsr(msr::tsc_deadline, std::max<std::uint64_t>(tsc, 1));
        return;
    }
    const std::uint64_t now = rdtsc();
    const std::uint64_t ahead = tsc > now ? tsc - now : 0;
    // A minute at most: then the product fits, and the waiter looks at the clock again.
    const std::uint64_t ticks =
        std::min(ahead, 60 * timestamp_frequency()) / 1024 * timer_frequency / (timestamp_frequency() / 1024);
    write(reg::timer_initial, static_cast<std::uint32_t>(std::clamp<std::uint64_t>(ticks, 1, ~0u)));
}

}  // namespace exo::guest::arch
