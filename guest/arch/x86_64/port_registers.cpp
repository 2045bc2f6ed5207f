#include "guest/arch/x86_64/port_registers.h"

namespace exo::guest::arch {
namespace {
constinit PortRegisters every_port(0, 0x10000);
}

PortRegisters& all_ports() {
    return every_port;
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
