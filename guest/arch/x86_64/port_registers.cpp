#include "guest/arch/x86_64/port_registers.h"

#include "guest/arch/x86_64/cpu.h"

namespace exo::guest::arch {
namespace {
constinit PortRegisters every_port(0, 0x10000);
}

PortRegisters& all_ports() {
    return every_port;
}

std::uint8_t PortRegisters::read8(std::uint64_t offset) {
    return holds(offset, 1) ? in8(port(offset)) : std::uint8_t(~0u);
}
std::uint16_t PortRegisters::read16(std::uint64_t offset) {
    return holds(offset, 2) ? in16(port(offset)) : std::uint16_t(~0u);
}
std::uint32_t PortRegisters::read32(std::uint64_t offset) {
    return holds(offset, 4) ? in32(port(offset)) : ~0u;
}
std::uint64_t PortRegisters::read64(std::uint64_t offset) {
    const std::uint64_t low = read32(offset);
    return std::uint64_t{read32(offset + 4)} << 32 | low;
}

void PortRegisters::write8(std::uint64_t offset, std::uint8_t value) {
    if (holds(offset, 1)) out8(port(offset), value);
}
void PortRegisters::write16(std::uint64_t offset, std::uint16_t value) {
    if (holds(offset, 2)) out16(port(offset), value);
}
void PortRegisters::write32(std::uint64_t offset, std::uint32_t value) {
    if (holds(offset, 4)) out32(port(offset), value);
}
void PortRegisters::write64(std::uint64_t offset, std::uint64_t value) {
    write32(offset, static_cast<std::uint32_t>(value));
    write32(offset + 4, static_cast<std::uint32_t>(value >> 32));
}

// One string instruction for a whole sector: one exit of a virtual machine in place of 256.
void PortRegisters::read16_repeated(std::uint64_t offset, std::span<std::byte> data) {
    if (!holds(offset, 2)) return;
    std::byte* to = data.data();
    std::uint64_t count = data.size() / 2;
    asm volatile("rep insw" : "+D"(to), "+c"(count) : "d"(port(offset)) : "memory");
}
void PortRegisters::write16_repeated(std::uint64_t offset, std::span<const std::byte> data) {
    if (!holds(offset, 2)) return;
    const std::byte* from = data.data();
    std::uint64_t count = data.size() / 2;
    asm volatile("rep outsw" : "+S"(from), "+c"(count) : "d"(port(offset)) : "memory");
}

}  // namespace exo::guest::arch
