#include "guest/drivers/apic/io_apic.h"

namespace exo::guest {
namespace {

constexpr std::uint64_t select = 0x00, window = 0x10;
constexpr std::uint8_t version_index = 0x01, redirection_index = 0x10;
constexpr std::uint32_t active_low = 1u << 13, level_triggered = 1u << 15, masked = 1u << 16;
constexpr unsigned max_lines = 240;

constexpr std::uint8_t entry_index(unsigned line) {
    return static_cast<std::uint8_t>(redirection_index + 2 * line);
}

}  // namespace

std::uint32_t IoApic::read(std::uint8_t index) {
    registers_->write32(select, index);
    return registers_->read32(window);
}

void IoApic::write(std::uint8_t index, std::uint32_t value) {
    registers_->write32(select, index);
    registers_->write32(window, value);
}

std::optional<IoApic> IoApic::probe(Registers& registers, std::uint32_t first_interrupt) {
    IoApic apic(registers, first_interrupt, 0);
    const std::uint32_t version = apic.read(version_index);
    apic.lines_ = (version >> 16 & 0xff) + 1;
    const unsigned model = version & 0xff;
    if (model == 0 || model == 0xff || apic.lines_ > max_lines) return std::nullopt;
    for (unsigned line = 0; line < apic.lines_; ++line) apic.write(entry_index(line), masked);
    return apic;
}

void IoApic::connect(const acpi::InterruptRoute& route, std::uint8_t vector, std::uint8_t apic_id) {
    const std::uint8_t index = entry_index(route.global_interrupt - first_);
    write(static_cast<std::uint8_t>(index + 1), std::uint32_t{apic_id} << 24);
    write(index, std::uint32_t{vector} | (route.active_low ? active_low : 0) |
                     (route.level_triggered ? level_triggered : 0));
}

}  // namespace exo::guest
