#include "guest/arch/x86_64/machine_services.h"

#include <cstring>
#include <new>

#include "guest/arch/arch.h"
#include "guest/arch/x86_64/address_space.h"
#include "guest/arch/x86_64/clock.h"
#include "guest/arch/x86_64/interrupts.h"
#include "guest/arch/x86_64/memory_registers.h"
#include "guest/arch/x86_64/port_registers.h"
#include "guest/kernel/panic.h"
#include "guest/memory/kernel_memory.h"

namespace exo::guest::arch {
namespace {

/// Frames for devices, below 4 GiB while there are any: some devices reach no higher.
class FrameDma final : public DmaMemory {
  public:
    Result<DmaSpan> allocate(std::size_t size) override {
        if (size == 0) return fail("memory for a device", "no size was given");
        const std::uint64_t count = size / frame_size + (size % frame_size != 0);
        FrameAllocator& frames = kernel_memory().frames;
        auto start = frames.allocate(count, {.below = std::uint64_t{4} << 30});
        if (!start) start = frames.allocate(count);
        if (!start) return std::unexpected(start.error());
        std::byte* const data = memory_at(*start);
        std::memset(data, 0, count * frame_size);
        return DmaSpan{.data = data, .physical = *start, .size = count * frame_size};
    }
    void release(const DmaSpan& span) override {
        const auto released = kernel_memory().frames.release(span.physical, span.size / frame_size);
        if (!released) panic("memory of a device at {:#x}: {}", span.physical, released.error().why);
    }
};

class MachineRegisters final : public RegisterSpace {
  public:
    Result<std::unique_ptr<Registers>> map_memory(std::uint64_t physical, std::uint64_t size) override {
        const auto mapped = map_device(physical, size);
        if (!mapped) return std::unexpected(mapped.error());
        return own(new (std::nothrow) MemoryRegisters(*mapped, size));
    }
    Result<std::unique_ptr<Registers>> map_ports(std::uint16_t port, std::uint16_t count) override {
        if (std::uint32_t{port} + count > 0x10000)
            return fail("ports", "the range goes beyond the last port");
        return own(new (std::nothrow) PortRegisters(port, count));
    }

  private:
    static Result<std::unique_ptr<Registers>> own(Registers* registers) {
        if (registers == nullptr) return fail("registers of a device", "out of memory");
        return std::unique_ptr<Registers>(registers);
    }
};

constinit FrameDma dma;
constinit MachineRegisters registers;

}  // namespace

DriverServices& machine_services() {
    static DriverServices services{
        .time = system_clock(), .dma = dma, .interrupts = interrupt_supply(), .registers = registers};
    return services;
}

}  // namespace exo::guest::arch
