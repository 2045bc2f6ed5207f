#include <cstring>

#include "guest/apps/attack/attacker.h"

namespace exo::guest::attack {
namespace {

constexpr unsigned accesses = 24;
constexpr std::uint16_t fw_cfg_selector = 0x510;
constexpr std::uint16_t fw_cfg_dma = 0x514;

/// Big-endian, as QEMU's docs/specs/fw_cfg has it.
struct DmaCommand {
    std::uint32_t control;
    std::uint32_t length;
    std::uint64_t address;
};

constexpr std::uint16_t items[] = {0,    1,    3,    5,    8,    0xb,  0xe,  0xf,    0x11,   0x12,  0x14,
                                   0x15, 0x17, 0x18, 0x19, 0x20, 0x21, 0x23, 0x4020, 0x8000, 0xffff};

void run_command(Attacker& attacker) {
    Random& random = attacker.random();
    const std::uint32_t item = random.pick(std::span<const std::uint16_t>(items));
    const DmaCommand command{__builtin_bswap32(item << 16 | static_cast<std::uint32_t>(random.below(64))),
                             __builtin_bswap32(attacker.length(area::scrap)),
                             __builtin_bswap64(attacker.address(area::scrap))};
    const std::size_t place = random.below(area::commands.size - sizeof(command));
    std::memcpy(attacker.at(area::commands, place), &command, sizeof(command));
    std::uint64_t where = attacker.physical(area::commands, place);
    if (random.one_in(8)) where = attacker.wild() ? attacker.address(area::scrap) : attacker.outside();
    attacker.out(fw_cfg_dma, 4, __builtin_bswap32(static_cast<std::uint32_t>(where >> 32)));
    attacker.out(fw_cfg_dma + 4, 4, __builtin_bswap32(static_cast<std::uint32_t>(where)));
}

/// Intel's commands for a flash of NOR cells, and what is none.
constexpr std::uint8_t flash_commands[] = {0x10, 0x40, 0x20, 0xd0, 0x50, 0x70,
                                           0x90, 0xb0, 0xe8, 0xff, 0x98, 0x60};

void access(Attacker& attacker, Registers& registers) {
    Random& random = attacker.random();
    const unsigned power = static_cast<unsigned>(random.below(4));
    const std::uint64_t offset = random.below(registers.size()) & ~((1ull << power) - 1);
    const std::uint64_t value = random.next();
    const bool reads = random.one_in(2);
    switch (power) {
        case 0:
            return reads ? static_cast<void>(registers.read8(offset))
                         : registers.write8(offset, static_cast<std::uint8_t>(value));
        case 1:
            return reads ? static_cast<void>(registers.read16(offset))
                         : registers.write16(offset, static_cast<std::uint16_t>(value));
        case 2:
            return reads ? static_cast<void>(registers.read32(offset))
                         : registers.write32(offset, static_cast<std::uint32_t>(value));
        default:
            return reads ? static_cast<void>(registers.read64(offset)) : registers.write64(offset, value);
    }
}

}  // namespace

void attack_fw_cfg(Attacker& attacker) {
    Random& random = attacker.random();
    for (unsigned i = 0; i < accesses / 4; ++i) {
        run_command(attacker);
        attacker.out(fw_cfg_selector, 2, random.pick(std::span<const std::uint16_t>(items)));
        for (std::uint64_t left = random.below(8); left > 0; --left) attacker.in(fw_cfg_selector + 1, 1);
        if (random.one_in(4)) attacker.out(fw_cfg_selector + 1, 1, static_cast<std::uint32_t>(random.next()));
    }
}

void attack_flash(Attacker& attacker) {
    Random& random = attacker.random();
    Registers& flash = attacker.flash();
    for (unsigned i = 0; i < accesses; ++i) {
        const std::uint64_t offset = random.below(flash.size());
        const std::uint8_t command = random.one_in(4)
                                         ? static_cast<std::uint8_t>(random.next())
                                         : random.pick(std::span<const std::uint8_t>(flash_commands));
        flash.write8(offset, command);
        if (random.one_in(2)) flash.read8(random.one_in(2) ? offset : random.below(flash.size()));
        if (random.one_in(4)) access(attacker, flash);
    }
    flash.write8(0, 0xff);
}

void attack_memory(Attacker& attacker) {
    for (unsigned i = 0; i < accesses; ++i)
        access(attacker, attacker.random().one_in(4) ? attacker.flash() : attacker.window());
}

}  // namespace exo::guest::attack
