#include "guest/apps/attack/attacker.h"

#include <new>

#include "guest/arch/arch.h"
#include "guest/drivers/pci/pci_scan.h"

namespace exo::guest::attack {
namespace {

constexpr std::string_view what = "cannot attack";
constexpr std::uint64_t slot_size = window_size / Attacker::most_functions;

/// Where this machine has no RAM, whatever its size up to 2 GiB: interrupt controllers, flash, the PCI
/// window, the ends of 32, 52 and 64 bits.
constexpr std::uint64_t elsewhere[] = {0xfec0'0000,        0xfee0'0000,   0xfeff'c000,   flash_start,
                                       0xffff'f000,        0xffff'fff8,   0x1'0000'0000, window_start,
                                       0x8000'0000,        0xd'0000'0000, 1ull << 36,    (1ull << 40) - 4096,
                                       (1ull << 52) - 512, 1ull << 52,    1ull << 63,    ~0ull - 0xfff,
                                       ~0ull - 511,        ~0ull - 7,     ~0ull};

}  // namespace

std::uint64_t Random::next() {
    std::uint64_t z = state_ += 0x9e37'79b9'7f4a'7c15;
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
}

Result<Attacker> Attacker::create(const Surface& surface, std::uint64_t seed) {
    if (surface.memory.size < memory_size) return fail(what, "there is too little memory to attack from");
    Attacker made(surface, seed);
    auto window = surface.registers.map_memory(window_start, window_size);
    if (!window) return std::unexpected(window.error());
    made.window_ = std::move(*window);
    auto flash = surface.registers.map_memory(flash_start, flash_size);
    if (!flash) return std::unexpected(flash.error());
    made.flash_ = std::move(*flash);
    auto ports = surface.registers.map_ports(PciPortConfig::first_port, PciPortConfig::port_count);
    if (!ports) return std::unexpected(ports.error());
    made.config_ports_ = std::move(*ports);
    made.config_.reset(new (std::nothrow) PciPortConfig(*made.config_ports_));
    if (made.config_ == nullptr) return out_of_memory(what);
    made.function_count_ = std::min(pci_scan(*made.config_, made.functions_), made.functions_.size());
    made.fill_tables();
    return made;
}

/// All that lies there has an address of ours and no length, so that half of a descriptor of virtio's, or of
/// a request in a slot, never makes another address.
void Attacker::fill_tables() {
    auto* const tables = reinterpret_cast<std::uint64_t*>(at(area::tables, 0));
    for (std::size_t i = 0; i < area::tables.size / 16; ++i) tables[2 * i] = physical(area::data);
    auto* const slots = reinterpret_cast<std::uint64_t*>(at(area::fusion, 0));
    for (std::size_t i = 0; i < area::fusion.size / 16; ++i) slots[2 * i + 1] = physical(area::data);
}

std::uint32_t Attacker::in(std::uint16_t port, unsigned size) {
    switch (size) {
        case 1:
            return surface_.ports.read8(port);
        case 2:
            return surface_.ports.read16(port);
        default:
            return surface_.ports.read32(port);
    }
}

void Attacker::out(std::uint16_t port, unsigned size, std::uint32_t value) {
    switch (size) {
        case 1:
            return surface_.ports.write8(port, static_cast<std::uint8_t>(value));
        case 2:
            return surface_.ports.write16(port, static_cast<std::uint16_t>(value));
        default:
            return surface_.ports.write32(port, value);
    }
}

std::uint64_t Attacker::place_in_window(std::size_t index) {
    PciFunction function(*config_, functions_[index]);
    const std::uint64_t offset = index * slot_size;
    function.write32(pci_reg::bar0, static_cast<std::uint32_t>(window_start + offset));
    function.write16(pci_reg::command, pci_command::memory | pci_command::bus_master);
    return offset;
}

void Attacker::await(const std::uint16_t& word) {
    constexpr unsigned patience = 2000;
    for (unsigned polls = 0; polls < patience && __atomic_load_n(&word, __ATOMIC_RELAXED) == 0; ++polls)
        arch::pause();
}

void Attacker::choose_honesty() {
    constexpr std::uint64_t rates[] = {3, 20, 200};
    one_lie_in_ = random_.pick(std::span<const std::uint64_t>(rates));
}

std::uint64_t Attacker::address(Area area) {
    if (wild() && lies()) return random_.below(surface_.memory.physical + 2 * surface_.memory.size);
    if (!lies()) {
        const std::uint64_t offset = random_.below(area.size / 2);
        return physical(area, random_.one_in(2) ? offset : offset & ~0x1ffull);
    }
    return outside();
}

std::uint64_t Attacker::outside() {
    if (random_.one_in(4)) return random_.next() | 1ull << 62;
    return random_.pick(std::span<const std::uint64_t>(elsewhere)) + random_.below(8) * random_.below(2);
}

std::uint32_t Attacker::length(Area area) {
    const auto most = static_cast<std::uint32_t>(area.size / 2);
    if (!lies()) return 512u * static_cast<std::uint32_t>(1 + random_.below(8));
    switch (random_.below(4)) {
        case 0:
            return 0;
        case 1:
            return 0x8000'0000u | static_cast<std::uint32_t>(random_.next());
        case 2:
            return most;
        default:
            return static_cast<std::uint32_t>(random_.below(most));
    }
}

}  // namespace exo::guest::attack
