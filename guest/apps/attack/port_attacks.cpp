#include <algorithm>

#include "guest/apps/attack/attacker.h"
#include "guest/arch/arch.h"
#include "shared/platform/platform.h"

namespace exo::guest::attack {
namespace {

constexpr unsigned accesses = 32;
constexpr unsigned sizes[] = {1, 2, 4};
constexpr std::uint16_t well_known[] = {
    0x20,   0x21,   0xa0,   0xa1,   0x40,   0x41,   0x42,   0x43,   0x61,  0x64,  0x60,   0x70,  0x71,  0x80,
    0x92,   0x402,  0x510,  0x511,  0x514,  0x518,  0x600,  0x602,  0x604, 0xcf8, 0xcf9,  0xcfa, 0xcfc, 0xcff,
    0xaf00, 0xaf08, 0xb000, 0xb002, 0xb004, 0xb008, 0xb00c, 0xafe0, 0x3f8, 0x3fd, 0xc000, 0xffff};

struct Ports {
    std::uint16_t first;
    std::uint16_t last;
};
/// What ends or restarts the machine: keyboard controller, fast reset, reset control, power management, the
/// VMM's exit. fw_cfg's DMA, whose address would be anywhere in RAM; attack_fw_cfg gives it one. COM1 is the
/// console, and attack_serial's; at the legacy interrupt controllers the guest wants nothing to appear.
constexpr Ports to_avoid[] = {{0x20, 0x21},   {0xa0, 0xa1},     {0x64, 0x64},
                              {0x92, 0x92},   {0x3f8, 0x3ff},   {0x514, 0x51b},
                              {0xcf9, 0xcf9}, {0xb000, 0xb03f}, {platform::exit_port, 0x601}};

bool meets(const Ports& ports, std::uint16_t port, unsigned size) {
    return port <= ports.last && port + size > ports.first;
}

bool survives(std::uint16_t port, unsigned size) {
    if (port == 0xcf8 && size == 4) return true;  // an address, which does not reset
    return std::ranges::none_of(to_avoid, [&](const Ports& ports) { return meets(ports, port, size); });
}

namespace uart {
constexpr std::uint16_t first = 0x3f8;
constexpr std::uint16_t interrupts = first + 1;
constexpr std::uint16_t line = first + 3;
constexpr std::uint16_t modem = first + 4;
constexpr std::uint8_t divisor_latch = 0x80;
}  // namespace uart

}  // namespace

void attack_ports(Attacker& attacker) {
    Random& random = attacker.random();
    for (unsigned i = 0; i < accesses; ++i) {
        const auto port = random.one_in(4) ? static_cast<std::uint16_t>(random.next())
                                           : random.pick(std::span<const std::uint16_t>(well_known));
        const unsigned size = port > 0xfffc ? 1 : random.pick(std::span<const unsigned>(sizes));
        const auto value = static_cast<std::uint32_t>(random.next());
        if (random.one_in(2))
            attacker.in(port, size);
        else if (attacker.wild() || survives(port, size))
            attacker.out(port, size, value);
    }
}

/// Interrupts are off meanwhile, and the line is as it was afterwards: it is the guest's console.
void attack_serial(Attacker& attacker) {
    Random& random = attacker.random();
    const arch::InterruptGuard guard;
    attacker.out(uart::line, 1, 3);
    const std::uint32_t interrupts = attacker.in(uart::interrupts, 1);
    const std::uint32_t modem = attacker.in(uart::modem, 1);
    for (unsigned i = 0; i < accesses; ++i) {
        const auto port = static_cast<std::uint16_t>(uart::first + random.below(8));
        const unsigned size = random.pick(std::span<const unsigned>(sizes));
        if (random.one_in(2))
            attacker.in(port, size);
        else
            attacker.out(port, size, static_cast<std::uint32_t>(random.next()));
    }
    attacker.out(uart::line, 1, uart::divisor_latch | 3);
    attacker.out(uart::first, 1, 1);
    attacker.out(uart::interrupts, 1, 0);
    attacker.out(uart::line, 1, 3);
    attacker.out(uart::first + 2, 1, 7);
    attacker.out(uart::modem, 1, modem);
    attacker.out(uart::interrupts, 1, interrupts);
}

}  // namespace exo::guest::attack
