#include "guest/apps/attack/attacker.h"
#include "guest/arch/processor_registers.h"

namespace exo::guest::attack {
namespace {

constexpr unsigned accesses = 24;

/// The first of some groups: performance counters, memory types, machine checks, KVM's, AMD's, Hyper-V's,
/// x2APIC's.
constexpr std::uint32_t groups[] = {
    0x0,   0x10,  0x174, 0x186,       0x1a0,       0x200,       0x277,       0x2ff,       0x400,
    0x480, 0x600, 0xd90, 0x4b56'4d00, 0x4000'0000, 0xc000'0080, 0xc001'0000, 0xc001'0110, 0xffff'fff0};
/// The guest's own: it dies of them, or loses its timer. APIC base; the paging of EFER; segments and calls;
/// the deadline and the local APIC; clocks that KVM writes to guest memory by itself, wherever told to.
constexpr bool is_guests_own(std::uint32_t index) {
    return index == 0x10 || index == 0x1b || index == 0x3b || index == 0x6e0 ||
           (index >= 0x800 && index <= 0x8ff) || (index >= 0xc000'0080 && index <= 0xc000'0103) ||
           (index >= 0x200 && index <= 0x2ff) || index <= 0x12 ||
           (index >= 0x4b56'4d00 && index <= 0x4b56'4dff) || index == 0xda0 || index == 0xc001'0117;
}

}  // namespace

void attack_processor(Attacker& attacker) {
    Random& random = attacker.random();
    for (unsigned i = 0; i < accesses; ++i) {
        const std::uint32_t index = random.one_in(8) ? static_cast<std::uint32_t>(random.next())
                                                     : random.pick(std::span<const std::uint32_t>(groups)) +
                                                           static_cast<std::uint32_t>(random.below(32));
        static_cast<void>(arch::try_read_msr(index));
        if (attacker.wild() || !is_guests_own(index))
            static_cast<void>(arch::try_write_msr(index, random.next() >> random.below(64)));
        arch::query_processor(static_cast<std::uint32_t>(random.below(4) << 30 | random.below(0x30)),
                              static_cast<std::uint32_t>(random.below(8)));
    }
}

}  // namespace exo::guest::attack
