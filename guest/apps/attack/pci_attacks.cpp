#include "guest/apps/attack/attacker.h"

namespace exo::guest::attack {
namespace {

constexpr unsigned accesses = 24;
constexpr unsigned sizes[] = {1, 2, 4};
constexpr std::uint32_t piix4_power_management = 0x7113'8086;
constexpr std::size_t bar_count = 6;

/// Where a BAR has no business: RAM, the holes below 1 MiB, flash, interrupt controllers, the ends.
constexpr std::uint32_t bar_places[] = {0,           0x1000,      0xa'0000,    0xf'0000,    0x10'0000,
                                        0x7fff'f000, 0x8000'0000, 0xfbff'8000, 0xfbff'f000, 0xfec0'0000,
                                        0xfee0'0000, 0xfeff'c000, 0xffc0'0000, 0xffff'8000, 0xffff'f000};

/// Moving these ports puts the machine's soft-off under any other attack.
bool may_end_machine(Attacker& attacker, PciAddress function) {
    return !attacker.wild() && attacker.config().read32(function, pci_reg::vendor) == piix4_power_management;
}

PciAddress pick_function(Attacker& attacker) {
    Random& random = attacker.random();
    if (attacker.functions().empty() || random.one_in(8))
        return {static_cast<std::uint8_t>(random.below(256)), static_cast<std::uint8_t>(random.below(32)),
                static_cast<std::uint8_t>(random.below(8))};
    return random.pick(attacker.functions());
}

std::uint32_t pick_place(Attacker& attacker) {
    Random& random = attacker.random();
    switch (random.below(4)) {
        case 0:
            return static_cast<std::uint32_t>(attacker.physical(area::data, random.below(0x1'0000)));
        case 1:
            return static_cast<std::uint32_t>(window_start + random.below(8) * 0x1000);
        case 2:
            return static_cast<std::uint32_t>(random.next());
        default:
            return random.pick(std::span<const std::uint32_t>(bar_places));
    }
}

/// RAM stays RAM, whatever lies on it.
void check_ram(Attacker& attacker) {
    auto* const word = reinterpret_cast<volatile std::uint64_t*>(attacker.at(area::data, 0x8000));
    const std::uint64_t written = attacker.random().next();
    *word = written;
    if (*word != written) attacker.object("a BAR has taken the place of RAM");
}

}  // namespace

void attack_pci(Attacker& attacker) {
    Random& random = attacker.random();
    for (unsigned i = 0; i < accesses; ++i) {
        const PciAddress function = pick_function(attacker);
        const std::uint32_t offset = static_cast<std::uint32_t>(random.below(256));
        const unsigned size = random.pick(std::span<const unsigned>(sizes));
        if (may_end_machine(attacker, function)) continue;
        const std::uint32_t select = 0x8000'0000u | std::uint32_t{function.bus} << 16 |
                                     std::uint32_t{function.device} << 11 |
                                     std::uint32_t{function.function} << 8 | (offset & 0xfc);
        attacker.out(0xcf8, 4,
                     random.one_in(16) ? static_cast<std::uint32_t>(random.next()) & ~0x3f00u : select);
        const auto port = static_cast<std::uint16_t>(0xcfc + offset % 4);
        random.one_in(3) ? static_cast<void>(attacker.in(port, size))
                         : attacker.out(port, size, static_cast<std::uint32_t>(random.next()));
    }
}

void attack_bars(Attacker& attacker) {
    Random& random = attacker.random();
    if (attacker.functions().empty()) return;
    for (unsigned i = 0; i < accesses; ++i) {
        const PciAddress address = random.pick(attacker.functions());
        if (may_end_machine(attacker, address)) continue;
        PciFunction function(attacker.config(), address);
        const auto bar = static_cast<std::uint8_t>(pci_reg::bar0 + 4 * random.below(bar_count));
        function.write32(bar, pick_place(attacker));
        function.write16(pci_reg::command, static_cast<std::uint16_t>(random.below(8)));
        attacker.window().read32(random.below(0x1'0000) & ~3ull);
        attacker.window().write32(random.below(0x1'0000) & ~3ull, static_cast<std::uint32_t>(random.next()));
        check_ram(attacker);
    }
}

namespace {

std::uint16_t message_control(Random& random) {
    return static_cast<std::uint16_t>(random.below(4) << 14 | random.below(0x800));
}

void set_vector(Attacker& attacker, std::uint64_t entry) {
    Random& random = attacker.random();
    Registers& window = attacker.window();
    MsiMessage message = attacker.harmless();
    if (random.one_in(2)) message.address = attacker.address(area::data) & ~0xfee0'0000ull;
    if (attacker.wild() && random.one_in(4))
        message = {0xfee0'0000 | random.below(0x10'0000), static_cast<std::uint32_t>(random.next())};
    if (random.one_in(4)) message.address |= random.next() << 32;
    window.write32(entry, static_cast<std::uint32_t>(message.address));
    window.write32(entry + 4, static_cast<std::uint32_t>(message.address >> 32));
    window.write32(entry + 8, message.data);
    window.write32(entry + 12, static_cast<std::uint32_t>(random.next()));
    if (random.one_in(4)) window.write64(entry + 8 * random.below(2), random.next() << 40);
}

}  // namespace

void attack_msix(Attacker& attacker) {
    Random& random = attacker.random();
    if (attacker.functions().empty()) return;
    const std::size_t index = random.below(attacker.functions().size());
    PciFunction function(attacker.config(), attacker.functions()[index]);
    const auto capability = function.find_capability(pci_capability::msix);
    if (!capability) return;
    const std::uint64_t table =
        attacker.place_in_window(index) + (function.read32(static_cast<std::uint8_t>(*capability + 4)) & ~7u);
    const auto control = static_cast<std::uint8_t>(*capability + 2);
    for (unsigned i = 0; i < accesses / 4; ++i) {
        function.write16(control, message_control(random));
        set_vector(attacker, table + 16 * random.below(8));
        attacker.window().read32(table + 0x1000 * random.below(2) + 4 * random.below(64));
    }
    function.write16(control, 0x8000);
}

}  // namespace exo::guest::attack
